"""Figures and tables of a credit run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from scipy.special import expit, logit

from models.scorecard_points import Scorecard
from pipelines.evidence import Cell, Figure, Table
from pipelines.reporting import figures
from pipelines.reporting.drawing import Row
from pipelines.settings.credit_models import Model
from pipelines.steps.credit.controls import ALONE, BOOSTING, PLAIN, POOLED, QUIET
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import FEWEST, Lender, Tested
from pipelines.steps.credit.statement import budgets, by_round
from pipelines.steps.credit.training import FEDERATED, Trained

_EDGE = 1e-9


def draw(
    folder: Path,
    tested: Tested,
    lenders: Sequence[Lender],
    prepared: Prepared,
    model: Trained,
) -> list[Figure]:
    """Lenders, ROC and precision, reliability; ε by round and budgets where there is a plan."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [
        _lenders(folder, lenders),
        _curves(folder, tested),
        _reliability(folder, tested, model),
    ]
    return [figure for figure in [*drawn, *_privacy(folder, prepared)] if figure is not None]


def lender_table(
    lenders: Sequence[Lender], arms: Sequence[str], clients: Sequence[str] = ()
) -> Table:
    """One row a lender: records, default rate, AUROC of every arm, difference to being alone.

    Args:
        lenders: Those with test records.
        arms: Whose AUROC is shown.
        clients: Everyone, so that whoever has no test record is not told by being absent.
    """
    absent = sorted({*clients} - {each.name for each in lenders})
    lenders = [*lenders, *(Lender(name, 0, 0.0, {}, None) for name in absent)]
    compared = any(lender.gain is not None for lender in lenders)
    rows: list[list[Cell]] = []
    hidden = _hidden(lenders)
    for lender in sorted(lenders, key=lambda each: -each.records):
        if lender.name in hidden:
            rows.append([lender.name, hidden[lender.name], *[None] * (1 + len(arms) + compared)])
            continue
        areas = [_cell(lender, arm) for arm in arms]
        gain: list[Cell] = [_gain(lender)] if compared else []
        rate = round(lender.rate, 3) if lender.told else None
        rows.append([lender.name, lender.records, rate, *areas, *gain])
    columns = ["client", "test records", "default rate", *arms]
    return Table(
        title="Every client's own test",
        caption="AUROC inside each client with its 95 % interval, by borrower. A dash: too few "
        f"test records of either outcome; of fewer than {FEWEST} nothing is told.",
        columns=[*columns, "federated − alone"] if compared else columns,
        rows=rows,
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


def _lenders(folder: Path, lenders: Sequence[Lender]) -> Figure | None:
    rows: list[Row] = []
    for lender in sorted(lenders, key=lambda each: -each.records):
        for arm, series in ((FEDERATED, FEDERATED), (ALONE, f"control: {ALONE}")):
            if arm in lender.aurocs:
                area = lender.aurocs[arm]
                rows.append((lender.name, area.value, area.low, area.high, series))
    if not rows:
        return None
    path = figures.bars(folder / "lenders.png", rows, "AUROC on the client's own test records")
    return Figure(
        "lenders",
        "Every client, with the shared model and alone",
        "AUROC inside each client, largest first, with 95 % intervals by borrower.",
        path,
    )


def _curves(folder: Path, tested: Tested) -> Figure:
    arms = (FEDERATED, *get_args(Model), QUIET, PLAIN, ALONE, POOLED, BOOSTING)
    shown = [arm for arm in arms if arm in tested.scores]
    scores = {arm: tested.scores[arm] for arm in shown}
    path = figures.discrimination(folder / "discrimination.png", tested.y, scores)
    return Figure(
        "discrimination",
        "ROC and precision–recall on test records",
        "All clients' test records together; the arm alone scores each with its lender's model.",
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
    budget = figures.budget(folder / "budget.png", budgets(prepared.charged))
    return [
        Figure(
            "epsilon",
            "ε after each round",
            "Composed over all steps so far by privacy loss distributions, with what bins cost.",
            curve,
        ),
        Figure(
            "budget",
            "Each owner's budget",
            "ε spent by all jobs so far, of what the owner granted.",
            budget,
        ),
    ]


def _cell(lender: Lender, arm: str) -> Cell:
    if arm not in lender.aurocs:
        return None
    area = lender.aurocs[arm]
    return f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"


def _gain(lender: Lender) -> Cell:
    if lender.gain is None:
        return None
    return f"{lender.gain.value:+.3f} ({lender.gain.low:+.3f} to {lender.gain.high:+.3f})"
