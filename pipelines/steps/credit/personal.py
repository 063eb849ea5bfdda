"""Personalisation at home: each lender goes on from the shared model with its own records.

Its own part is pulled to the shared model, to half of it, and, as one that finds no use in it
would, to its own default rate, at several strengths; beside these stand its scorecards over bins of
its own. Its own calibration records say what each of them counts. So whatever a lender could do
alone is among what it can do here: being alone is the same without the shared model. Nothing of
that is covered by the plan: see `at_home` for where it may go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import logit

from models.credit_encoding import Encoder
from models.federated.personal import Own, levelled, pulled
from models.scorecard import ROW_NORM
from pipelines.steps.credit.alone import STRENGTHS, OwnBins, own_bins
from pipelines.steps.credit.own_records import Part, counted, parts_of, step_codes, with_constant
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import Trained

How = Literal["alone", "head", "proximal"]
PERSONAL = "personalised"
_STARTS: dict[How, tuple[float, ...]] = {
    "proximal": (1.0, 0.5, 0.0),
    "head": (1.0,),
    "alone": (0.0,),
}
"""What a start keeps of the shared model's log-odds."""
_ROWS = 1 << 15  # records that are taken at once, unless one lender has more
_EDGE = 1e-9


@dataclass(frozen=True)
class Personal:
    """One lender's own model: share · (log-odds of the shared model) + features · weights, and,
    with bins of its own, those features · own weights.

    Attributes:
        share: What is left of the shared model.
        weights: Of the lender's features, (d + 1,), the last of a constant.
        bins: Its own; none for a head.
        own_weights: Of its features over those, (own d + 1,).
    """

    share: float
    weights: np.ndarray
    bins: Encoder | None = None
    own_weights: np.ndarray | None = None

    def told(self) -> dict[str, Any]:
        """All of it as JSON values."""
        made = {"share_of_shared_model": self.share, "weights": self.weights.tolist()}
        if self.bins is None or self.own_weights is None:
            return made
        return made | {"own_bins": self.bins.to_json(), "own_weights": self.own_weights.tolist()}


@dataclass(frozen=True)
class _Given:
    """What lenders' models are made of: the shared log-odds, outcomes, and what a start keeps."""

    shared: np.ndarray
    y: np.ndarray
    starts: tuple[float, ...]


def shared_log_odds(model: Trained) -> np.ndarray:
    """What the shared model, as it is served, says of every record, (n,)."""
    return np.asarray(logit(np.clip(model.read(), _EDGE, 1 - _EDGE)))


def own_scorecards(prepared: Prepared, bins: int) -> np.ndarray:
    """Log-odds of every record by a scorecard that its own lender trained alone, (n,).

    Bins are quantiles of the lender's own training records, or those of the shared model; what
    either counts at each ridge is decided by likelihood on its own calibration records.
    """
    return own_models(prepared, np.zeros(len(prepared.facts)), "alone", bins)[1]


def own_models(
    prepared: Prepared, shared: np.ndarray, how: How, bins: int
) -> tuple[dict[str, Personal], np.ndarray]:
    """Every lender's own model, and log-odds of every record by its own lender's, (n,).

    Args:
        prepared: The records.
        shared: From `shared_log_odds`.
        how: `head` moves the shared model's slope and intercept; `alone` goes without it.
        bins: Of each number where a lender takes bins of its own.
    """
    facts, head = prepared.facts, how == "head"
    given = _Given(shared, facts["y"].to_numpy(dtype=float), _STARTS[how])
    codes = shared[:, None] if head else step_codes(prepared)
    frame, encoder = prepared.frame, prepared.encoder
    models, found = {}, shared.copy()
    for some in _in_pieces(parts_of(facts)):
        features = [with_constant(codes[part.every]) for part in some.values()]
        weights = _weights(list(some.values()), features, given)
        for (name, part), x, each in zip(some.items(), features, weights, strict=True):
            own = None if head else own_bins(encoder, frame, part, given.y, bins)
            models[name], found[part.every] = _averaged(part, x, each, own, given)
    return models, found


def _weights(
    some: Sequence[Part], features: Sequence[np.ndarray], given: _Given
) -> list[np.ndarray]:
    """Weights of each lender's features from every start at every strength, (k, d + 1) each."""
    owners, levels = [], []
    for part, x in zip(some, features, strict=True):
        target = given.y[part.train]
        kept = [start * given.shared[part.train] for start in given.starts]
        levels.append([levelled(each, target) for each in kept])
        starts = np.column_stack(kept) + levels[-1]
        owners.append(Own(x[part.place(part.train)], target, starts))
    found = pulled(owners, STRENGTHS)
    found[..., -1] += np.array(levels)[:, :, None] / ROW_NORM
    return [each.reshape(-1, each.shape[-1]) for each in found]


def _averaged(
    part: Part, x: np.ndarray, weights: np.ndarray, own: OwnBins | None, given: _Given
) -> tuple[Personal, np.ndarray]:
    """One lender's candidates as one model, and its log-odds of all of the lender's records."""
    kept = np.repeat(given.starts, len(STRENGTHS))
    columns = np.outer(given.shared[part.every], kept) + x @ weights.T
    if own is not None:
        columns = np.column_stack([columns, own.features @ own.weights.T])
    held = part.place(part.calibration) if len(part.train) else np.zeros(0, dtype=int)
    share = counted(columns[held], given.y[part.every][held])
    first, rest = share[: len(kept)], share[len(kept) :]
    made = Personal(float(first @ kept), first @ weights)
    if own is not None:
        made = replace(made, bins=own.encoder, own_weights=rest @ own.weights)
    return made, columns @ share


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
