"""Each lender alone, as well as it can: bins of its own or the public ones, and its own ridge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from domains.banking.features import Feature, Numeric, labels, numbers
from models.credit_encoding import Encoder
from models.federated.personal import Own, levelled, pulled
from models.scorecard import ROW_NORM
from pipelines.steps.credit.own_records import SCORECARD, Part, counted, parts_of, with_constant

STRENGTHS = (np.inf, 30.0, 10.0, 3.0, 1.0)
"""λ of `models.federated.personal`, for rows of a scorecard's norm; infinity: the start itself.
Chosen on public loans, by the likelihood of calibration records."""
_MOST, _FEWEST = 50, 5  # values of a category, and records of one


@dataclass(frozen=True)
class OwnBins:
    """Scorecards over one lender's own bins.

    Attributes:
        encoder: Whose edges and values are those of its training records.
        features: Of each of its records, (n, d + 1), the last of a constant.
        weights: One row a strength, (k, d + 1).
    """

    encoder: Encoder
    features: np.ndarray
    weights: np.ndarray


def own_bins(shared: Encoder, frame: pd.DataFrame, part: Part, y: np.ndarray, bins: int) -> OwnBins:
    """Fit one lender's scorecards over bins of its own at every strength.

    Args:
        shared: Names the features.
        frame: Raw columns of all records.
        part: The lender's.
        y: Outcomes of all records.
        bins: Of each number, at most.
    """
    encoder = own_encoder(shared, frame.iloc[part.train], bins)
    features = with_constant(encoder.encode(frame.iloc[part.every]))
    target = y[part.train]
    level = levelled(np.zeros(len(target)), target)
    starts = np.full((len(target), 1), level)
    weights = pulled([Own(features[part.place(part.train)], target, starts)], STRENGTHS)[0, 0]
    weights[:, -1] += level / ROW_NORM
    return OwnBins(encoder, features, weights)


def own_encoder(shared: Encoder, frame: pd.DataFrame, bins: int) -> Encoder:
    """The shared encoder's features with edges and values of one lender's records alone."""
    features = tuple(_own(feature, frame, bins) for feature in shared.features)
    return Encoder(features, shared.derived, SCORECARD)


def _own(feature: Feature, frame: pd.DataFrame, bins: int) -> Feature:
    if not isinstance(feature, Numeric):
        found = labels(frame[feature.column]).value_counts()
        often = found[found >= _FEWEST].index[:_MOST]
        return replace(feature, values=tuple(str(value) for value in often))
    held = numbers(frame, feature.column)
    held = held[~np.isnan(held)]
    edges = np.unique(np.quantile(held, np.linspace(0.0, 1.0, bins + 1))) if len(held) else held
    if len(edges) < 2:
        return feature
    return replace(feature, edges=tuple(edges.tolist()))


def better_of(
    facts: pd.DataFrame, candidates: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, int]]:
    """Log-odds (n,) by each lender's better model, and of how many lenders each one counts most.

    What a model counts at a lender is said by its likelihood on that lender's own calibration
    records.

    Args:
        facts: Of all records.
        candidates: Log-odds by name, (n,) each, calibrated; without calibration records the first.
    """
    columns, y = np.column_stack([*candidates.values()]), facts["y"].to_numpy(dtype=float)
    found, most = np.zeros(len(y)), dict.fromkeys(candidates, 0)
    for part in parts_of(facts).values():
        share = counted(columns[part.calibration], y[part.calibration])
        found[part.every] = columns[part.every] @ share
        most[[*candidates][int(share.argmax())]] += 1
    return found, most
