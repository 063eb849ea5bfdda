"""Personalisation at home: each lender goes on from the shared model with its own records.

Its own part is pulled to the shared model, and, as one that finds no use in it would, to its own
default rate, at several strengths; its own calibration records say what each of them counts.
Nothing of that is covered by the plan: see `at_home` for where it may go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from models.calibration import fit_platt
from models.credit_encoding import Coding
from models.federated.personal import Own, likelihoods, pulled, shares
from models.scorecard import ROW_NORM
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import Trained

PERSONAL = "personalised"
STRENGTHS = (np.inf, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""λ of `models.federated.personal`, for rows of a scorecard's norm; infinity: the shared model."""
_ROWS = 1 << 15  # training records that are taken at once, unless one lender has more
_EDGE = 1e-9


@dataclass(frozen=True)
class Part:
    """Where one lender's records of each kind lie, among all."""

    train: np.ndarray
    calibration: np.ndarray
    every: np.ndarray

    def place(self, rows: np.ndarray) -> np.ndarray:
        """Where some of `every` stand in it; both rise."""
        return np.searchsorted(self.every, rows)


@dataclass(frozen=True)
class Personal:
    """One lender's own model: share · (log-odds of the shared model) + features · weights.

    Attributes:
        share: What is left of the shared model.
        weights: Of the lender's features, (d + 1,), the last of a constant.
    """

    share: float
    weights: np.ndarray


def shared_log_odds(model: Trained) -> np.ndarray:
    """What the shared model, as it is served, says of every record, (n,)."""
    return np.asarray(logit(np.clip(model.read(), _EDGE, 1 - _EDGE)))


def parts_of(facts: pd.DataFrame) -> dict[str, Part]:
    """Every lender's records; one that has none is not among them."""
    kinds, made = facts["part"].to_numpy(), {}
    for name, found in facts.groupby("client", sort=True).indices.items():
        rows = np.asarray(found)
        training, calibration = kinds[rows] == "train", kinds[rows] == "calibration"
        made[str(name)] = Part(rows[training], rows[calibration], rows)
    return made


def own_models(
    prepared: Prepared, shared: np.ndarray, how: str
) -> tuple[dict[str, Personal], np.ndarray]:
    """Every lender's own model, and log-odds of every record by its own lender's, (n,).

    Args:
        prepared: The records.
        shared: From `shared_log_odds`.
        how: `head` or `proximal`.
    """
    facts = prepared.facts
    y, found = facts["y"].to_numpy(dtype=float), shared.copy()
    codes = None if how == "head" else step_codes(prepared)
    models = {}
    for some in _in_pieces(parts_of(facts)):
        features = [_features(codes, shared, part.every) for part in some.values()]
        made = _fitted(list(some.values()), features, shared, y, codes is not None)
        for (name, part), own, x in zip(some.items(), made, features, strict=True):
            models[name] = own
            found[part.every] = own.share * shared[part.every] + x @ own.weights
    return models, found


def step_codes(prepared: Prepared) -> np.ndarray:
    """Records as a scorecard takes them, (n, width), whatever the shared model is."""
    encoder = prepared.encoder
    if encoder.coding.kind == "steps" and encoder.coding.balanced:
        return prepared.codes
    coded = type(encoder)(encoder.features, encoder.derived, SCORECARD)
    return coded.encode(prepared.frame)


SCORECARD = Coding("steps", balanced=True, norm=ROW_NORM)


def with_constant(codes: np.ndarray) -> np.ndarray:
    """Codes (n, d) with a last one that is always the same, (n, d + 1) float32."""
    return np.column_stack([codes, np.full(len(codes), ROW_NORM)]).astype(np.float32)


def own_rate(y: np.ndarray) -> float:
    """Log-odds of an owner's default rate, half a record of either outcome added."""
    return float(np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5)))


def counted(candidates: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What each candidate counts, (k,), by the likelihood of its log-odds (m, k) on calibration
    records; without any, the first one is all."""
    if len(y):
        return shares(likelihoods(candidates, y))
    return np.eye(candidates.shape[1])[0]


def each_calibrated(facts: pd.DataFrame, raw: np.ndarray) -> np.ndarray:
    """Log-odds (n,) after every lender's own `platt`, on its own calibration records."""
    y, made = facts["y"].to_numpy(), raw.copy()
    for part in parts_of(facts).values():
        slope, intercept = fit_platt(raw[part.calibration], y[part.calibration])
        if slope > 0:  # else worse than chance, and must not be turned over
            made[part.every] = slope * raw[part.every] + intercept
    return made


def _features(codes: np.ndarray | None, shared: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return with_constant(shared[rows, None] if codes is None else codes[rows])


def _fitted(
    some: Sequence[Part],
    features: Sequence[np.ndarray],
    shared: np.ndarray,
    y: np.ndarray,
    from_rate: bool,
) -> list[Personal]:
    """Each lender's own model, from the shared one and, if wanted, from its own rate alone."""
    rates = [own_rate(y[part.train]) for part in some]
    from_shared = _pulled(some, features, y, [shared[part.train] for part in some])
    starts = [np.full(len(p.train), rate) for p, rate in zip(some, rates, strict=True)]
    alone = _pulled(some, features, y, starts) if from_rate else from_shared[:, :0]
    made = []
    for place, (part, x) in enumerate(zip(some, features, strict=True)):
        held = part.place(part.calibration) if len(part.train) else np.zeros(0, dtype=int)
        offset = shared[part.every][held, None]
        columns = [offset + x[held] @ from_shared[place].T, rates[place] + x[held] @ alone[place].T]
        share = counted(np.column_stack(columns), y[part.every][held])
        weights = share @ np.concatenate([from_shared[place], alone[place]])
        on_shared = float(share[: len(STRENGTHS)].sum())
        weights[-1] += (1.0 - on_shared) * rates[place] / ROW_NORM
        made.append(Personal(on_shared, weights))
    return made


def _pulled(
    some: Sequence[Part],
    features: Sequence[np.ndarray],
    y: np.ndarray,
    starts: Sequence[np.ndarray],
) -> np.ndarray:
    each = zip(some, features, starts, strict=True)
    owners = [Own(x[part.place(part.train)], y[part.train], start) for part, x, start in each]
    return pulled(owners, STRENGTHS)


def _in_pieces(parts: Mapping[str, Part]) -> Iterator[dict[str, Part]]:
    """Lenders by size, so many at once that their codes need little room."""
    piece: dict[str, Part] = {}
    for name, part in sorted(parts.items(), key=lambda each: len(each[1].train)):
        if piece and sum(len(each.every) for each in piece.values()) + len(part.every) > _ROWS:
            yield piece
            piece = {}
        piece[name] = part
    if piece:
        yield piece
