"""Numbers of the credit flow on test records: every arm, every lender, paired, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from domains.metrics import Interval, Metric, auroc, bootstrap, ece, ks, named, paired_bootstrap

_MANY = 20_000
_EACH = 20
"""Records of either outcome that a lender needs before its own AUROC says anything."""


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

    @property
    def repeats(self) -> int:
        """Resamples: fewer where records are so many that intervals are narrow and slow."""
        return 500 if len(self.y) < _MANY else 200

    def enough(self) -> list[int]:
        """Clients with enough test records of both outcomes."""
        bad = np.bincount(self.client, self.y, len(self.names))
        good = np.bincount(self.client, 1 - self.y, len(self.names))
        return [k for k in range(len(self.names)) if min(bad[k], good[k]) >= _EACH]


@dataclass(frozen=True)
class Lender:
    """One client's test: records, default rate, AUROC of each arm, difference to being alone."""

    name: str
    records: int
    rate: float
    aurocs: dict[str, Interval]
    gain: Interval | None


def metrics_of(tested: Tested, arm: str) -> dict[str, float]:
    """`auroc`, `auroc_client_mean`, `ks`, `gini` and `ece` of one arm, with intervals."""
    area = _interval(tested, arm, auroc)
    gini = Interval(*(2 * value - 1 for value in (area.value, area.low, area.high)))
    found = {**named("auroc", area), **named("gini", gini)}
    if tested.enough():
        inside = bootstrap(
            client_mean(tested), tested.y, tested.scores[arm], tested.group, tested.repeats
        )
        found |= named("auroc_client_mean", inside)
    return (
        found | named("ks", _interval(tested, arm, ks)) | named("ece", _interval(tested, arm, ece))
    )


def difference(tested: Tested, arm: str, other: str, metric: Metric = auroc) -> Interval:
    """Paired difference `arm` − `other` with its interval."""
    p, q = tested.scores[arm], tested.scores[other]
    return paired_bootstrap(metric, tested.y, p, q, tested.group, tested.repeats)


def client_mean(tested: Tested) -> Metric:
    """Mean over clients of the AUROC inside each, every client counting the same."""
    rows = [np.flatnonzero(tested.client == k) for k in tested.enough()]

    def mean(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
        inside = [auroc(y[r], p[r], None if weight is None else weight[r]) for r in rows]
        return float(np.nanmean(inside))

    return mean


def lenders(tested: Tested, arm: str, alone: str | None) -> list[Lender]:
    """Every client's own test, in the order of the clients; AUROC where records are enough."""
    enough = set(tested.enough())
    return [_lender(tested, k, k in enough, arm, alone) for k in range(len(tested.names))]


def _lender(tested: Tested, number: int, enough: bool, arm: str, alone: str | None) -> Lender:
    rows = np.flatnonzero(tested.client == number)
    own = Tested(
        tested.y[rows],
        tested.client[rows],
        np.unique(tested.group[rows], return_inverse=True)[1],
        tested.names,
        {name: p[rows] for name, p in tested.scores.items()},
    )
    areas = {name: _interval(own, name, auroc) for name in own.scores} if enough else {}
    gain = difference(own, arm, alone) if enough and alone else None
    rate = float(own.y.mean()) if len(rows) else float("nan")
    return Lender(tested.names[number], len(rows), rate, areas, gain)


def _interval(tested: Tested, arm: str, metric: Metric) -> Interval:
    """Sorted by score first: the metric's own sort is then nearly free in every resample."""
    order = np.argsort(tested.scores[arm], kind="stable")
    y, p, group = tested.y[order], tested.scores[arm][order], tested.group[order]
    return bootstrap(metric, y, p, group, tested.repeats)
