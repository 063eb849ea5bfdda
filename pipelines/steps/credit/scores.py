"""Numbers of the credit flow on test records: every arm, every lender, paired, with intervals.

One set of resamples of whole borrowers serves every number, so that any two can be compared on the
same resamples, and all of them are computed at once: a resample is a row of counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from domains.flawless import of_area, of_ks
from domains.metrics import Interval, interval, named

_MANY = 20_000
_EACH = 20
"""Records of either outcome that a lender needs before its own AUROC says anything."""
FEWEST = 20
"""Test records below which nothing is told of a lender, not even their number."""
_FEW = 5  # records of the rarer outcome below which a rate tells of single ones
_BINS = 15

Metrics = dict[str, float]


def repeats_of(count: int) -> int:
    """Resamples of so many test records."""
    return 500 if count < _MANY else 200


@dataclass(frozen=True)
class Tested:
    """Test records and what every arm says of them.

    Attributes:
        y: Outcomes, (n,).
        client: Number of the client that holds each record, (n,).
        group: Number of each record's borrower, (n,).
        names: Clients by number.
        scores: Arm → probabilities, (n,).
    """

    y: np.ndarray
    client: np.ndarray
    group: np.ndarray
    names: tuple[str, ...]
    scores: Mapping[str, np.ndarray]

    @cached_property
    def weights(self) -> np.ndarray:
        """Resamples of borrowers: how often each record counts, (1 + repeats, n); the first row
        is the sample itself. Fewer where records are so many that intervals are narrow anyway."""
        repeats, rng = repeats_of(len(self.y)), np.random.default_rng(0)
        count = int(self.group.max()) + 1
        weights = np.ones((1 + repeats, len(self.y)), dtype=np.float32)
        for row in weights[1:]:
            row[:] = np.bincount(rng.integers(count, size=count), minlength=count)[self.group]
        return weights

    @cached_property
    def enough(self) -> list[int]:
        """Clients with enough test records of both outcomes."""
        bad = np.bincount(self.client, self.y, len(self.names))
        good = np.bincount(self.client, 1 - self.y, len(self.names))
        return [k for k in range(len(self.names)) if min(bad[k], good[k]) >= _EACH]

    @cached_property
    def areas(self) -> dict[str, np.ndarray]:
        """AUROC of every arm over all records together, (1 + repeats,)."""
        return {arm: aurocs(self.weights, self.y, p) for arm, p in self.scores.items()}

    @cached_property
    def inside(self) -> dict[str, np.ndarray]:
        """AUROC of every arm inside every client with enough records, (clients, 1 + repeats)."""
        rows = [np.flatnonzero(self.client == k) for k in self.enough]
        return {
            arm: np.array([aurocs(self.weights[:, r], self.y[r], p[r]) for r in rows])
            for arm, p in self.scores.items()
        }

    def slack(self, arm: str) -> float:
        """What an arm's flawless answers leave open of its AUROC, see `domains.flawless`."""
        return of_area(self.y, self.scores[arm], self.group)

    def slack_inside(self, arm: str, number: int) -> float:
        """The same of the AUROC inside a client."""
        mine = self.client == number
        return of_area(self.y[mine], self.scores[arm][mine], self.group[mine])


@dataclass(frozen=True)
class Lender:
    """One client's test: records, default rate, AUROC of the model where records are enough."""

    name: str
    records: int
    rate: float
    auroc: Interval | None

    @property
    def told(self) -> bool:
        """Whether its rate is one of many records of either outcome."""
        return round(min(self.rate, 1 - self.rate) * self.records) >= _FEW


def metrics_of(tested: Tested, arm: str) -> Metrics:
    """`auroc`, `auroc_client_mean`, `ks`, `gini` and `ece` of one arm, with intervals."""
    area, p = tested.areas[arm], tested.scores[arm]
    slack = tested.slack(arm)
    found = named("auroc", _of(area, slack)) | named("gini", _of(2 * area - 1, 2 * slack))
    if tested.enough:
        inside = float(np.mean([tested.slack_inside(arm, k) for k in tested.enough]))
        found |= named("auroc_client_mean", _of(np.nanmean(tested.inside[arm], axis=0), inside))
    found |= named("ks", _of(kolmogorovs(tested.weights, tested.y, p), of_ks(slack)))
    return found | named("ece", _of(errors(tested.weights, tested.y, p), 0.0))


def difference(tested: Tested, arm: str, other: str) -> Interval:
    """AUROC of `arm` − `other` over all records together, paired."""
    return _of(tested.areas[arm] - tested.areas[other])


def difference_inside(tested: Tested, arm: str, other: str) -> Interval | None:
    """Mean over clients of AUROC of `arm` − `other` inside each, paired; None without clients."""
    if not tested.enough:
        return None
    return _of(np.nanmean(tested.inside[arm] - tested.inside[other], axis=0))


def lenders(tested: Tested, arm: str) -> list[Lender]:
    """Every client's own test, in the order of the clients; AUROC where records are enough."""
    place = {number: row for row, number in enumerate(tested.enough)}
    made = []
    for number, name in enumerate(tested.names):
        mine, row = tested.y[tested.client == number], place.get(number)
        rate = float(mine.mean()) if len(mine) else float("nan")
        area = None
        if row is not None:
            area = _of(tested.inside[arm][row], tested.slack_inside(arm, number))
        made.append(Lender(name, len(mine), rate, area))
    return made


def _of(draws: np.ndarray, slack: float | None = None) -> Interval:
    """The sample's own value (first) with the 95 % interval of its resamples (the rest)."""
    return interval(float(draws[0]), draws[1:], slack)


def aurocs(weights: np.ndarray, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """`domains.metrics.auroc` for every row of weights, (r, n) → (r,); NaN with one class only."""
    bad, good = _by_score(weights, y, p)
    below = np.cumsum(good, axis=1) - good
    pairs = bad.sum(axis=1) * good.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        area: np.ndarray = (bad * (below + good / 2)).sum(axis=1) / pairs
    return area


def kolmogorovs(weights: np.ndarray, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """`domains.metrics.ks` for every row of weights, (r, n) → (r,)."""
    bad, good = _by_score(weights, y, p)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [np.cumsum(side, axis=1) / side.sum(axis=1, keepdims=True) for side in (bad, good)]
    return np.asarray(np.abs(shares[0] - shares[1]).max(axis=1))


def errors(weights: np.ndarray, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """`domains.metrics.ece` for every row of weights, (r, n) → (r,)."""
    cells = np.minimum((p * _BINS).astype(int), _BINS - 1)
    gaps = np.zeros((len(y), _BINS), dtype=np.float64)
    gaps[np.arange(len(y)), cells] = y - p
    return np.asarray(np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1))


def _by_score(weights: np.ndarray, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of defaults and of others at each distinct score, in rising order, (r, scores)."""
    order = np.argsort(p, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) != 0])
    sorted_weights, bad = weights[:, order], y[order] > 0
    sides = (np.where(bad, sorted_weights, 0.0), np.where(bad, 0.0, sorted_weights))
    first, second = (np.add.reduceat(side, starts, axis=1, dtype=np.float64) for side in sides)
    return first, second
