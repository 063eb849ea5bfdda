"""Reason codes: which features raise the risk of one loan, against a stated reference.

For each feature the codes of the record are replaced by the feature's reference, everything else
stays, and the calibrated log-odds are computed again: what they fall by is what the feature adds.
The reference of a number is the middle of its edges, counted in segments; that of a category is
every listed value at once, each with an equal share. Where a feature is one code, the number of its
bin, the reference is several codes, and the mean of their answers counts. It comes from the encoder
alone, so no record stands behind it, and the same record always gets the same reasons.

It is an occlusion, one feature at a time. On a net, and on trees that ask about several features,
it is not an additive decomposition: the changes need not sum to the distance from any base, two
features that say the same can hide each other, and a reason is a statement about the model, not
about what caused a default. On a model that is linear in its codes, or a sum over features, each
change is exactly the feature's term, less the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from domains.banking.features import Feature, Numeric
from models.credit_encoding import Coding, Encoder, bins_of, width_of

REASONS = 4
"""At most so many a record."""
_ROWS = 4096


@dataclass(frozen=True)
class Reason:
    """One feature that raises the risk of a record.

    Attributes:
        column: The feature.
        of: Raw columns it is made of: itself, or those it is derived from.
        log_odds: By how much it raises the log-odds of default against its reference, above 0.
    """

    column: str
    of: tuple[str, ...]
    log_odds: float


LogOdds = Callable[[np.ndarray], np.ndarray]


def reasons(
    encoder: Encoder,
    log_odds: LogOdds,
    frame: pd.DataFrame,
    top: int,
    part: Callable[[int], LogOdds] | None = None,
) -> list[list[Reason]]:
    """The features that raise each record's risk most, strongest first.

    Args:
        encoder: Raw columns to codes.
        log_odds: Codes (n, width) to calibrated log-odds of default, (n,).
        frame: Raw columns, n rows.
        top: At most so many a record; fewer where fewer raise its risk.
        part: Place of a feature → what of the log-odds depends on it, the rest left out, where that
            is quicker.

    Returns:
        n lists. Ties stand in the order of the encoder's features.

    Raises:
        InputError: A column is missing, or a number is infinite or text.
    """
    names = made_of(encoder)
    return [_strongest(row, names, top) for row in raised(encoder, log_odds, frame, part)]


def explained(
    encoder: Encoder,
    log_odds: LogOdds,
    frame: pd.DataFrame,
    part: Callable[[int], LogOdds] | None = None,
) -> pd.DataFrame:
    """`reasons` as columns of features' names; see `named`."""
    pieces = range(0, len(frame), _ROWS)  # as many codes again for each value of a reference
    some = [raised(encoder, log_odds, frame.iloc[start : start + _ROWS], part) for start in pieces]
    whole = np.concatenate([*some, np.empty((0, len(encoder.features)))])
    return named(whole, encoder, frame.index)


def named(amount: np.ndarray, encoder: Encoder, index: pd.Index[Any]) -> pd.DataFrame:
    """Columns `reason_1` …: the features with the largest amounts of each record, by name; None
    where none more is above 0.

    Args:
        amount: What each feature adds to the risk, (n, features).
        encoder: Names them.
        index: Of the records.
    """
    columns = [f"reason_{place + 1}" for place in range(REASONS)]
    order = np.argsort(-amount, axis=1, kind="stable")[:, : len(columns)]
    above = np.take_along_axis(amount, order, axis=1) > 0
    names = np.array([feature.column for feature in encoder.features], dtype=object)
    found = np.full((len(amount), len(columns)), None, dtype=object)
    found[:, : order.shape[1]] = np.where(above, names[order], np.array(None, dtype=object))
    return pd.DataFrame(found, index, columns, dtype=object)


def raised(
    encoder: Encoder,
    log_odds: LogOdds,
    frame: pd.DataFrame,
    part: Callable[[int], LogOdds] | None = None,
) -> np.ndarray:
    """By how much each feature raises each record's log-odds against its reference, (n, features);
    see `reasons`."""
    codes = encoder.encode(frame)
    whole = log_odds(codes) if part is None else None
    made = np.empty((len(codes), len(encoder.features)))
    start = 0
    for place, feature in enumerate(encoder.features):
        stated = references(feature, encoder.coding) * np.float32(encoder.scales[place])
        without = np.repeat(codes[None], len(stated), axis=0)
        without[:, :, start : start + stated.shape[1]] = stated[:, None]
        of = log_odds if part is None else part(place)
        told = of(without.reshape(-1, codes.shape[1])).reshape(len(stated), -1)
        made[:, place] = (of(codes) if whole is None else whole) - told.mean(axis=0)
        start += stated.shape[1]
    return made


def made_of(encoder: Encoder) -> list[tuple[str, tuple[str, ...]]]:
    """Every feature with the raw columns that it is made of, in order."""
    made = {item.column: item.of for item in encoder.derived}
    return [(f.column, made.get(f.column, (f.column,))) for f in encoder.features]


def _strongest(
    raised: np.ndarray, names: Sequence[tuple[str, tuple[str, ...]]], top: int
) -> list[Reason]:
    order = np.argsort(-raised, kind="stable")[:top]
    ahead = [(*names[place], float(raised[place])) for place in order if raised[place] > 0]
    return [Reason(column, of, log_odds) for column, of, log_odds in ahead]


def references(feature: Feature, coding: Coding) -> np.ndarray:
    """Codes that a feature's reference is the mean answer to, (m, width), before scaling."""
    if coding.kind != "bins":
        return reference(feature, coding)[None]
    if isinstance(feature, Numeric):
        inner = bins_of(feature) - 2  # an odd number of cuts has no bin in the middle, but two
        middle = [inner // 2, (inner + 1) // 2]
    else:
        middle = list(range(max(bins_of(feature) - 2, 1)))
    return np.array(sorted(set(middle)), dtype=np.float32)[:, None]


def reference(feature: Feature, coding: Coding) -> np.ndarray:
    """Codes of a feature's reference, before scaling; the last one means empty."""
    codes = np.zeros(width_of(feature, coding), dtype=np.float32)
    if isinstance(feature, Numeric):
        parts = len(codes) - 1
        filled = np.clip(parts / 2 - np.arange(parts), 0.0, 1.0)
        codes[:-1] = filled - 0.5 if coding.balanced else filled
        return codes
    listed = len(codes) - 2
    codes[:listed] = 1.0 / max(listed, 1)
    if not listed:
        codes[0] = 1.0  # nothing is listed: every value is an other one
    return codes
