"""What privacy costs and what federation buys, as evidence: a picture, a table, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.metrics import Interval, interval
from pipelines.evidence import Cell, Evidence, Figure, Table
from pipelines.reporting.price import against_epsilon
from pipelines.steps.credit.controls import ALONE, POOLED
from pipelines.steps.credit.price import ARMS, DRAWS, Priced
from pipelines.steps.credit.scores import Tested, aurocs
from pipelines.steps.credit.training import FEDERATED

Points = Mapping[tuple[str, float | None], np.ndarray]
"""(arm, ε) → AUROC inside clients, their mean: of the sample, then of its resamples."""

BOUGHT, COST = "federated − alone", "federated − itself without privacy"
_TITLE = "What privacy costs, and what federation buys"


def measured(tested: Tested, priced: Sequence[Priced]) -> Points:
    """AUROC inside clients at every point; empty where no client has enough test records.

    A resample of borrowers is judged by one of the trainings, in turn: intervals hold what another
    draw of the noise would have made of the model, too.

    Args:
        tested: Test records.
        priced: Arms with their answers to these.
    """
    rows = [np.flatnonzero(tested.client == client) for client in tested.enough]
    if not rows:
        return {}
    return {(each.arm, each.epsilon): _draws(tested, each.read(), rows) for each in priced}


def _draws(tested: Tested, answers: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
    each = np.array(
        [
            np.nanmean([aurocs(tested.weights[:, r], tested.y[r], p[r]) for r in rows], axis=0)
            for p in answers
        ]
    )
    by_turns = each[np.arange(each.shape[1]) % len(each), np.arange(each.shape[1])]
    return np.concatenate([[each[:, 0].mean()], by_turns[1:]])


def with_price(
    folder: Path, tested: Tested, priced: Sequence[Priced], evidence: Evidence
) -> Evidence:
    """The evidence, and the price of privacy where it was measured."""
    if not (points := measured(tested, priced)):
        return evidence
    own = (evidence.privacy or {}).get("target_epsilon")
    return replace(
        evidence,
        findings=[*evidence.findings, sentence(points, own)],
        figures=[figure(folder, points), *evidence.figures],
        tables=[*evidence.tables, table(points)],
    )


def figure(folder: Path, points: Points) -> Figure:
    """AUROC against ε, an arm a line."""
    folder.mkdir(parents=True, exist_ok=True)
    arms = {
        arm: {epsilon: _of(points[arm, epsilon]) for epsilon in _epsilons(points)} for arm in ARMS
    }
    return Figure(
        "price",
        _TITLE,
        "AUROC inside clients, their mean, with 95 % intervals by borrower and by draw of the "
        "noise. Up from alone to federated is what federation buys; right to no privacy is what "
        "privacy costs.",
        against_epsilon(folder / "price.png", arms, "AUROC inside clients, test records"),
    )


def table(points: Points) -> Table:
    """The picture's numbers, and the paired differences."""
    epsilons = _epsilons(points)
    rows: list[list[Cell]] = [
        [arm, *(_shown(_of(points[arm, epsilon])) for epsilon in epsilons)] for arm in ARMS
    ]
    rows.append([BOUGHT, *(_shown(_bought(points, epsilon), "+") for epsilon in epsilons)])
    cost = [None if e is None else _shown(_cost(points, e), "+") for e in epsilons]
    rows.append([COST, *cost])
    return Table(
        title=f"{_TITLE}: AUROC inside clients",
        caption=f"Under an ε, {ALONE} and {POOLED} train centrally with differential privacy on a "
        "client's own records and on all: the same model, steps and δ. No privacy is the same "
        f"steps without clipping and noise. Values under an ε are means of {DRAWS} trainings. Bins "
        "and value lists are this run's throughout. Public records: nobody was charged for it.",
        columns=["", *(_named(epsilon) for epsilon in epsilons)],
        rows=rows,
        section="worth",
    )


def sentence(points: Points, own: float | None) -> str:
    """What both come to at the run's own ε, or the nearest one that was tried."""
    tried = [epsilon for epsilon in _epsilons(points) if epsilon is not None]
    epsilon = min(tried, key=lambda each: abs(each - (own if own is not None else max(tried))))
    bought, cost = _bought(points, epsilon), _cost(points, epsilon)
    return (
        f"Privacy and federation: with everyone at ε = {epsilon:g}, federated training "
        f"{_verb(bought)} each client training alone (AUROC inside clients {_told(bought)}); "
        f"against itself without privacy it {_changes(cost)}."
    )


def _bought(points: Points, epsilon: float | None) -> Interval:
    return _of(points[FEDERATED, epsilon] - points[ALONE, epsilon])


def _cost(points: Points, epsilon: float) -> Interval:
    return _of(points[FEDERATED, epsilon] - points[FEDERATED, None])


def _epsilons(points: Points) -> list[float | None]:
    private = sorted({epsilon for _, epsilon in points if epsilon is not None})
    return [*private, None]


def _named(epsilon: float | None) -> str:
    return "no privacy" if epsilon is None else f"ε = {epsilon:g}"


def _verb(gap: Interval) -> str:
    if gap.low > 0:
        return "is better than"
    return "is worse than" if gap.high < 0 else "cannot be told apart from"


def _changes(gap: Interval) -> str:
    if gap.low <= 0 <= gap.high:
        return f"loses nothing that can be told ({_told(gap)})"
    return f"{'loses' if gap.high < 0 else 'gains'} ({_told(gap)})"


def _told(gap: Interval) -> str:
    return f"{gap.value:+z.3f}; {gap.low:+z.3f} to {gap.high:+z.3f}"


def _shown(value: Interval, sign: str = "") -> str:
    return f"{value.value:{sign}z.3f} ({value.low:{sign}z.3f} to {value.high:{sign}z.3f})"


def _of(draws: np.ndarray) -> Interval:
    return interval(float(draws[0]), draws[1:])
