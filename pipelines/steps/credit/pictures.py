"""Figures and tables of a credit run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import expit, logit

from domains.metrics import Interval
from domains.naming import natural
from models.scorecard_points import Scorecard
from pipelines.evidence import Cell, Figure, Table
from pipelines.reporting import figures
from pipelines.reporting.drawing import Row
from pipelines.steps.credit.controls import ALONE, BOOSTING, PLAIN
from pipelines.steps.credit.personal import PERSONAL
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import FEWEST, Lender, Tested
from pipelines.steps.credit.statement import budgets, by_round
from pipelines.steps.credit.training import FEDERATED, Trained

_EDGE = 1e-9


def draw(folder: Path, tested: Tested, prepared: Prepared, model: Trained) -> list[Figure]:
    """ROC and precision, reliability; ε by round and budgets where there is a plan."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [_curves(folder, tested), _reliability(folder, tested, model)]
    return [*drawn, *_privacy(folder, prepared)]


def lender_table(lenders: Sequence[Lender], clients: Sequence[str] = ()) -> Table:
    """One row a lender: records, default rate, AUROC of the model.

    Args:
        lenders: Those with test records.
        clients: Everyone, so that whoever has no test record is not told by being absent.
    """
    absent = sorted({*clients} - {each.name for each in lenders}, key=natural)
    lenders = [*lenders, *(Lender(name, 0, 0.0, None) for name in absent)]
    rows: list[list[Cell]] = []
    hidden = _hidden(lenders)
    for lender in sorted(lenders, key=lambda each: (-each.records, natural(each.name))):
        if lender.name in hidden:
            rows.append([lender.name, hidden[lender.name], None, None])
            continue
        rate = f"{lender.rate:.1%}" if lender.told else None
        rows.append([lender.name, lender.records, rate, _cell(lender.auroc)])
    return Table(
        title="Every client's own test",
        caption="AUROC inside each client with its 95 % interval, by borrower. A dash: too few "
        f"test records of either outcome; of fewer than {FEWEST} nothing is told.",
        columns=["client", "test records", "default rate", "AUROC"],
        rows=rows,
        section="joining",
    )


def _hidden(lenders: Sequence[Lender]) -> dict[str, str]:
    """What stands for the records of clients with too few; where there is one such client alone,
    the next one's are not told either, for the sum of all is, and the difference would be."""
    by_size = sorted(lenders, key=lambda each: each.records)
    few = [each.name for each in by_size if each.records < FEWEST]
    said = dict.fromkeys(few, f"fewer than {FEWEST}")
    if len(few) == 1 and len(by_size) > 1:
        said[by_size[1].name] = "not told"
    return said


def points_table(card: Scorecard) -> Table:
    """The table of points, one row a bin or value; a feature is named in each of its rows."""
    scale = card.scale
    return Table(
        title="Points",
        caption=f"Start with the first line and add each feature's points: the sum is the score, "
        f"{scale.base:g} at odds of repaying of {scale.odds:g} to 1, and {scale.pdo:g} points "
        "double the odds. A feature's points are counted from its reference, the middle of a "
        "number's bins or the mean of a category's values; the four features that cost a loan most "
        "points against it are its reasons.",
        columns=["feature", "value", "points"],
        rows=[[line.feature, line.value, line.points] for line in card.lines()],
    )


def uncalibrated(p: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Probabilities before the calibration p = σ(slope · logit + intercept)."""
    raw = (logit(np.clip(p, _EDGE, 1 - _EDGE)) - intercept) / slope
    return np.asarray(expit(raw))


def lender_figure(folder: Path, lenders: Sequence[Lender]) -> Figure | None:
    """The model inside every client that has test records enough, largest first."""
    rows: list[Row] = [
        (each.name, each.auroc.value, each.auroc.low, each.auroc.high, FEDERATED)
        for each in sorted(lenders, key=lambda each: (-each.records, natural(each.name)))
        if each.auroc is not None
    ]
    if len(rows) < 2:
        return None
    path = figures.bars(folder / "joining.png", rows, "AUROC on the client's own test records")
    return Figure(
        "joining",
        "The shared model inside every client",
        "AUROC inside each client, most test records first, with 95 % intervals by borrower.",
        path,
    )


def _curves(folder: Path, tested: Tested) -> Figure:
    arms = (FEDERATED, PERSONAL, PLAIN, ALONE, BOOSTING)  # more lines could not be told apart
    shown = [arm for arm in arms if arm in tested.scores]
    scores = {arm: tested.scores[arm] for arm in shown}
    path = figures.discrimination(folder / "discrimination.png", tested.y, scores)
    own = [arm for arm in shown if arm in (ALONE, PERSONAL)]
    by_own = f"; {' and '.join(own)}: each record by its own client's model" if own else ""
    return Figure(
        "discrimination",
        "ROC and precision–recall on test records",
        f"All clients' test records together{by_own}.",
        path,
    )


def _reliability(folder: Path, tested: Tested, model: Trained) -> Figure:
    p = tested.scores[FEDERATED]
    views = {"before": uncalibrated(p, *model.calibration), "after": p}
    path = figures.reliability(folder / "reliability.png", tested.y, views)
    return Figure(
        "reliability",
        "Calibration on test records",
        "Observed default rate against predicted probability, before and after calibration.",
        path,
    )


def _privacy(folder: Path, prepared: Prepared) -> list[Figure]:
    plan = prepared.charged.plan
    if plan is None:
        return []
    rounds, spent = by_round(plan)
    curve = figures.privacy_curve(folder / "epsilon.png", rounds, spent, plan.epsilon)
    epsilon = Figure(
        "epsilon",
        "ε after each round",
        "Composed over all steps so far by privacy loss distributions, with what bins cost.",
        curve,
    )
    owners = budgets(prepared.charged)
    if len({(round(spent, 2), granted) for _, spent, granted in owners}) < 2:
        return [epsilon]  # many bars of one length tell nothing
    budget = figures.budget(folder / "budget.png", owners)
    return [
        epsilon,
        Figure(
            "budget",
            "Each owner's budget",
            "ε spent by all jobs so far, of what the owner granted.",
            budget,
        ),
    ]


def _cell(area: Interval | None) -> Cell:
    return None if area is None else f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
