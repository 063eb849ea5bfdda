"""One protected column on test records: its groups, how unequal they are, what is told of it."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from domains.banking import approval
from domains.banking.groups import Groups
from domains.metrics import Interval, interval, named
from pipelines.evidence import Cell, Table
from pipelines.reporting.drawing import Row
from pipelines.steps.credit.decisions import share_shown, shown
from pipelines.steps.credit.scores import Tested, aurocs
from pipelines.steps.credit.training import FEDERATED

GROUPS = "its groups"
_GAPS = {
    "approval_ratio": "approval, lowest over highest",
    "approval_difference": "approval, highest less lowest",
    "opportunity_difference": "approval of those who repaid, highest less lowest",
    "odds_difference": "approval at equal outcome, highest less lowest",
    "calibration_difference": "predicted less observed, highest less lowest",
}
_OF_SHARES = ("approval_difference", "opportunity_difference", "odds_difference")


class Protected:
    """One protected column on the test records of groups that are told of."""

    def __init__(self, groups: Groups, code: np.ndarray, tested: Tested, cut: float) -> None:
        told = code >= 0
        self.groups, self.group, self.cut = groups, code[told], cut
        self.weights = tested.weights[:, told]
        self.y, self.p = tested.y[told], tested.scores[FEDERATED][told]
        self.rates = approval.rates(self.weights, self.y, self.p, self.p <= cut, self.group)

    @cached_property
    def gaps(self) -> dict[str, Interval]:
        """Differences between groups: fairlearn's of the sample, intervals of its resamples."""
        r = self.rates
        every = np.ones(len(self.groups.names), dtype=bool)
        repaid = np.isfinite(r.of_repaid[0])
        both = repaid & np.isfinite(r.of_defaulted[0])
        odds = np.fmax(approval.gap(r.of_repaid[:, both]), approval.gap(r.of_defaulted[:, both]))
        found = {
            "approval_ratio": (approval.ratio(r.approved), every),
            "approval_difference": (approval.gap(r.approved), every),
            "opportunity_difference": (approval.gap(r.of_repaid), repaid),
            "odds_difference": (odds, both),
        }
        told = {
            name: interval(self._by_fairlearn(name, which), draws[1:])
            for name, (draws, which) in found.items()
        }
        return told | {"calibration_difference": _of(approval.gap(r.predicted))}

    def _by_fairlearn(self, name: str, which: np.ndarray) -> float:
        if which.sum() < 2:
            return float("nan")
        rows = which[self.group]
        return by_fairlearn(name, self.y[rows], self.p[rows] <= self.cut, self.group[rows])

    def metrics(self) -> dict[str, float]:
        """The gaps by name, `fairness.COLUMN.NAME`; none of those that cannot be told."""
        gaps = {n: i for n, i in self.gaps.items() if np.isfinite(i.value)}
        prefix = f"fairness.{self.groups.column}"
        return {k: v for n, i in gaps.items() for k, v in named(f"{prefix}.{n}", i).items()}

    def table(self, least: int) -> Table:
        """One row a group."""
        r, rows = self.rates, []
        for k, name in enumerate(self.groups.names):
            shares = [r.default, r.approved, r.of_repaid, r.bad]
            cells: list[Cell] = [share_shown(_of(share[:, k])) for share in shares]
            mine = self.group == k
            row: list[Cell] = [name, int(mine.sum()), *cells]
            rows.append([*row, self._auroc(mine), shown(_of(r.predicted[:, k]), signed=True)])
        small = self.groups.small
        few = f" {small} more, with fewer than {least} each, are not told of." if small else ""
        if small is None:
            few = f" Groups with fewer than {least}, if there are any, are not told of."
        return Table(
            title=f"{self.groups.column}: {GROUPS}",
            caption="Test records, with 95 % intervals by borrower. Predicted less observed is the "
            "mean probability of default less the share that defaulted. A dash: too few records."
            + few,
            columns=["group", "records", "default rate", "approved", "approved of repaid",
                     "default rate of approved", "AUROC", "predicted − observed"],
            rows=rows,
        )  # fmt: skip

    def _auroc(self, mine: np.ndarray) -> str | None:
        if min(self.y[mine].sum(), (1 - self.y[mine]).sum()) < approval.ENOUGH:
            return None
        return shown(_of(aurocs(self.weights[:, mine], self.y[mine], self.p[mine])))

    def gap_table(self) -> Table:
        """One row a gap."""
        return Table(
            title=f"{self.groups.column}: gaps",
            caption="Between the groups above, by fairlearn's definitions, at the same threshold "
            "for all. A dash: too few records of an outcome.",
            columns=["gap", "value"],
            rows=[
                [_GAPS[name], (share_shown if name in _OF_SHARES else shown)(each)]
                for name, each in self.gaps.items()
            ],
        )

    def drawn(self) -> list[Row]:
        """Rows of the figure."""
        return [
            (f"{self.groups.column}: {name}", *_bounds(shares[:, k]), series)
            for k, name in enumerate(self.groups.names)
            for shares, series in (
                (self.rates.approved, "approved, of all"),
                (self.rates.of_repaid, "approved, of those who repaid"),
            )
        ]


def by_fairlearn(name: str, y: np.ndarray, approved: np.ndarray, group: np.ndarray) -> float:
    """fairlearn's difference or ratio between groups, repaying being the good outcome."""
    from fairlearn import metrics  # takes more than a second to import

    measure = {
        "approval_ratio": metrics.demographic_parity_ratio,
        "approval_difference": metrics.demographic_parity_difference,
        "opportunity_difference": metrics.equal_opportunity_difference,
        "odds_difference": metrics.equalized_odds_difference,
    }[name]
    return float(measure(1 - y, approved.astype(int), sensitive_features=group))


def _bounds(draws: np.ndarray) -> tuple[float, float, float]:
    found = _of(draws)
    return found.value, found.low, found.high


def _of(draws: np.ndarray) -> Interval:
    return interval(float(draws[0]), draws[1:])
