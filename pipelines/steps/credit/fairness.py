"""Protected groups: who is approved, how good the scores are for them, and what equality costs.

Group metrics are those of fairlearn (Bird et al., 2020); intervals come from resamples of whole
borrowers. Protected columns are no features unless the configuration asks for it. Only held-out
records are looked at, and only where they may be released; a group with fewer members than
`fairness.least` is not told of. In private data, if such groups together have fewer, they count
with the smallest one that has enough, so that no difference of sums tells of the few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.banking import approval
from domains.banking.groups import Groups, classes, large_enough
from domains.metrics import Interval, interval
from pipelines.evidence import Cell, Figure, Table
from pipelines.governance.held_out import HeldOut
from pipelines.reporting import figures
from pipelines.reporting.drawing import Row
from pipelines.settings import CreditConfig
from pipelines.steps.credit import judgements
from pipelines.steps.credit.columns import declared
from pipelines.steps.credit.decisions import (
    Panel,
    cut_off,
    points_shown,
    share_shown,
    shown,
)
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.protected import Protected
from pipelines.steps.credit.scores import Tested, aurocs
from pipelines.steps.credit.training import Trained
from pipelines.tracking import Job

ALL, REPAID = "equal approval", "equal approval of those who repaid"


def groups_of(prepared: Prepared, config: CreditConfig) -> list[tuple[Groups, np.ndarray]]:
    """Each protected column's groups, over the held-out records, and which rows these are."""
    facts, table = prepared.facts, prepared.charged.table
    rows = facts["part"].isin(["calibration", "test"]).to_numpy()
    part, frame = facts["part"].to_numpy()[rows], prepared.frame[rows]
    made = []
    for column in dict.fromkeys(config.protected):
        found = classes(
            frame[column],
            part == "calibration",
            table.bounds.get(column, ()),
            declared(table, column),
            rounded=not table.public,
        )
        told = large_enough(column, found, part == "test", config.fairness.least, not table.public)
        made.append((told, rows))
    return made


def with_decisions(job: Job, prepared: Prepared, model: Trained, held: HeldOut) -> HeldOut:
    """Held-out records with the groups and the threshold by which the gate judges decisions."""
    config: CreditConfig = job.config
    part = prepared.facts["part"].to_numpy()
    protected = {
        groups.column: groups.code[part[rows] == "test"]
        for groups, rows in groups_of(prepared, config)
    }
    cut = cut_off(prepared, model, config.approval_rate)
    return replace(held, protected=protected, approve_below=cut)


def panel(job: Job, prepared: Prepared, tested: Tested, model: Trained, cut: float) -> Panel:
    """The fairness panel: a table a column, the gaps and what closing them would cost.

    Args:
        job: The job.
        prepared: Its loans.
        tested: The test records, in the order of the loans.
        model: The registered model.
        cut: Probability of default up to which loans are approved.
    """
    config: CreditConfig = job.config
    if not config.protected:
        return Panel(findings=[judgements.UNASKED])
    made = Panel()
    drawn: list[Row] = []
    for groups, rows in groups_of(prepared, config):
        if len(groups.names) < 2:
            least = config.fairness.least
            made.findings.append(judgements.alone(groups.column, groups.names, groups.small, least))
            continue
        part = prepared.facts["part"].to_numpy()[rows]
        column = Protected(groups, groups.code[part == "test"], tested, cut)
        made.tables.extend([column.table(config.fairness.least), column.gap_table()])
        made.metrics.update(column.metrics())
        gaps = column.gaps
        said = judgements.grouped
        ratio, odds = gaps["approval_ratio"], gaps["odds_difference"]
        made.findings.append(said(groups.column, groups.names, ratio, odds))
        drawn += column.drawn()
        calibrating = _Calibrating(prepared, model, groups, rows, part)
        _level(made, column, calibrating, config.approval_rate)
    if drawn:
        made.figures.append(_figure(job.folder / "figures", drawn))
    return made


class _Calibrating:
    """Calibration records in groups that are told of: outcome, probability, group."""

    def __init__(
        self, prepared: Prepared, model: Trained, groups: Groups, rows: np.ndarray, part: np.ndarray
    ) -> None:
        chosen = np.flatnonzero(rows)[(part == "calibration") & (groups.code >= 0)]
        self.y = prepared.facts["y"].to_numpy()[chosen]
        self.p = model.read()[chosen]
        self.group = groups.code[(part == "calibration") & (groups.code >= 0)]

    def enough(self, among: np.ndarray, groups: int) -> bool:
        """Whether every group has records to count places among."""
        return bool((np.bincount(self.group[among], minlength=groups) >= approval.ENOUGH).all())


def _level(made: Panel, column: Protected, held: _Calibrating, rate: float) -> None:
    """What thresholds of each group's own would cost: chosen on calibration, told on test."""
    rows: list[list[Cell]] = []
    for way, among in ((ALL, np.ones(len(held.y), dtype=bool)), (REPAID, held.y == 0)):
        if not held.enough(among, len(column.groups.names)):
            continue
        found = levelling(column, held, among, rate)
        left, area = share_shown(found["left"]), shown(found["auroc"], signed=True)
        moved = [points_shown(found[name]) for name in ("approved", "bad")]
        rows.append([way, left, area, *moved])
        if way == ALL:
            said = judgements.levelling(column.groups.column, found["auroc"], found["bad"])
            made.findings.append(said)
    if rows:
        made.tables.append(_cost_table(column.groups.column, rows))


def levelling(
    column: Protected, held: _Calibrating, among: np.ndarray, rate: float
) -> dict[str, Interval]:
    """Changes by scores that are places within the group; see `domains.banking.approval.levelled`.

    One threshold on such places is a threshold of each group's own, so decisions are equalised, and
    the places are scores, which have an AUROC to compare, at every approval rate at once.
    fairlearn's ThresholdOptimizer answers another question. It seeks the thresholds of best
    accuracy under the constraint, and so approves another share in all than was asked for: its
    price would be that of approving more or fewer as well. It decides some loans by lot, and its
    decisions have no AUROC. What it alone can do is equal odds among defaulters and repayers at
    once, by more of such lots; what that would cost is not told here.

    Args:
        column: Test records.
        held: Calibration records.
        among: Which of those places are counted among.
        rate: Share of the calibration records to approve.
    """
    like, like_group = held.p[among], held.group[among]
    q = approval.levelled(column.p, column.group, like, like_group)
    cut = approval.threshold(approval.levelled(held.p, held.group, like, like_group), rate)
    new = approval.rates(column.weights, column.y, column.p, q <= cut, column.group)
    one = np.zeros(len(q), dtype=int)
    whole = [
        approval.rates(column.weights, column.y, column.p, yes, one)
        for yes in (q <= cut, column.p <= column.cut)
    ]
    area = aurocs(column.weights, column.y, q) - aurocs(column.weights, column.y, column.p)
    return {
        "left": _of(approval.gap(new.approved if among.all() else new.of_repaid)),
        "auroc": _of(area),
        "approved": _of(whole[0].approved[:, 0] - whole[1].approved[:, 0]),
        "bad": _of(whole[0].bad[:, 0] - whole[1].bad[:, 0]),
    }


def _cost_table(column: str, rows: Sequence[list[Cell]]) -> Table:
    return Table(
        title=f"{column}: what equalising would cost",
        caption="By a threshold for each group, chosen on calibration records so that as many are "
        "approved in all; test records, changes against one threshold for all. It measures a "
        "price, and is no advice: to decide by membership of a protected group is unlawful in many "
        "places.",
        columns=["way", "gap that is left", "AUROC", "approved, points",
                 "default rate of approved, points"],
        rows=list(rows),
    )  # fmt: skip


def _figure(folder: Path, rows: Sequence[Row]) -> Figure:
    folder.mkdir(parents=True, exist_ok=True)
    path = figures.bars(folder / "fairness.png", rows, "share approved, test records")
    return Figure(
        "fairness",
        "Who is approved",
        "Share approved in each protected group, of all and of those who repaid, at one threshold, "
        "with 95 % intervals.",
        path,
    )


def _of(draws: np.ndarray) -> Interval:
    return interval(float(draws[0]), draws[1:])
