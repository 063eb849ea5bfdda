"""A recalibration in numbers: a version's probabilities before and after, on records that did not
choose how they move.

Weights stay, log-odds z become slope · z + intercept. Where only a new default rate is stated, the
intercept moves by its log-odds less the old one's (Saerens, Latinne and Decaestecker, 2002; King
and Zeng, 2001), which needs no record. What that does is then shown on the version's own held-out
records, thinned to the stated rate: those of one outcome are left out, by the order of their hashed
ids, until the rate is right. That shows the correction where nothing but the rate has moved, and
cannot show whether it is so. A labelled file can: then the test is on its records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from domains.banking.groups import Groups
from domains.errors import InputError
from domains.metrics import Interval, interval, named
from models.calibration import calibration_line, log_odds
from pipelines.evidence import Cell, Metrics, Table
from pipelines.governance.held_out import Answers
from pipelines.steps.credit.decisions import calibration_of, decided_of, shown
from pipelines.steps.credit.protected import GROUPS, Protected
from pipelines.steps.credit.scores import Tested, errors, metrics_of
from pipelines.steps.credit.training import FEDERATED

BEFORE = "before recalibration"
RANKING = ("auroc", "auroc_client_mean", "ks", "gini")
_FEWEST = 20


@dataclass(frozen=True)
class Change:
    """How probabilities move.

    Attributes:
        slope, intercept: Log-odds z become slope · z + intercept.
        before, after: Default rates that they are calibrated to; None where not known.
        method: In words.
    """

    slope: float
    intercept: float
    before: float | None
    after: float
    method: str

    def moved(self, p: np.ndarray) -> np.ndarray:
        """Probabilities (n,) after the change."""
        return np.asarray(expit(self.slope * log_odds(p) + self.intercept))


@dataclass(frozen=True)
class Shown:
    """The test of a recalibration.

    Attributes:
        tested: Records, and their probabilities after the change.
        before: Their probabilities before it, (n,).
        cuts: Thresholds before and after; None where the version has none.
        groups: Protected groups of these records.
    """

    tested: Tested
    before: np.ndarray
    cuts: tuple[float | None, float | None]
    groups: Sequence[Groups] = ()

    @property
    def earlier(self) -> Tested:
        """The same records with the probabilities before the change."""
        return replace(self.tested, scores={FEDERATED: self.before})

    def metrics(self) -> tuple[Metrics, Metrics]:
        """Of the version, and of the one it came from."""
        after, before = (
            _metrics(each, cut)
            for each, cut in zip((self.tested, self.earlier), self.cuts[::-1], strict=True)
        )
        for column in self.columns():
            after |= column.metrics()
        return after, before

    def columns(self) -> list[Protected]:
        """Protected columns with groups to compare."""
        cut = self.cuts[1]
        if cut is None:
            return []
        told = [each for each in self.groups if len(each.names) > 1]
        return [Protected(each, each.code, self.tested, cut) for each in told]

    def table(self) -> Table:
        """Calibration before and after, and the difference, paired."""
        found = [_calibration(each) for each in (self.earlier, self.tested)]
        rows: list[list[Cell]] = []
        for name in found[0]:
            first, second = (each[name] for each in found)
            told = [shown(_of(first)), shown(_of(second)), shown(_of(second - first), signed=True)]
            rows.append([name, *told])
        return Table(
            title="Calibration before and after",
            caption=f"On {len(self.tested.y)} records that did not choose the change, with 95 % "
            "intervals by borrower; the right slope is 1, the right intercept 0.",
            columns=["number", "before", "after", "difference"],
            rows=rows,
        )

    def error(self) -> tuple[Interval, Interval, Interval]:
        """Calibration error before and after, and the difference, paired."""
        first, second = (
            errors(each.weights, each.y, each.scores[FEDERATED])
            for each in (self.earlier, self.tested)
        )
        return _of(first), _of(second), _of(second - first)


def _metrics(tested: Tested, cut: float | None) -> Metrics:
    found = {k: v for k, v in metrics_of(tested, FEDERATED).items() if "client_mean" not in k}
    told = calibration_of(tested) | (decided_of(tested, cut) if cut is not None else {})
    return found | {k: v for name, i in told.items() for k, v in named(name, i).items()}


def _calibration(tested: Tested) -> dict[str, np.ndarray]:
    y, p = tested.y, tested.scores[FEDERATED]
    lines = np.array([calibration_line(y, p, row) for row in tested.weights])
    lost = -(y * np.log(np.clip(p, 1e-12, 1)) + (1 - y) * np.log(np.clip(1 - p, 1e-12, 1)))
    weighed = np.asarray(tested.weights @ lost) / tested.weights.sum(axis=1)
    return {
        "calibration error": errors(tested.weights, y, p),
        "calibration slope": lines[:, 0],
        "calibration intercept": lines[:, 1],
        "log loss": weighed,
    }


def thinned(answered: Answers, rate: float) -> Answers:
    """Answers on as many of the held-out records as have the default rate `rate`.

    Raises:
        InputError: Too few of an outcome would be left.
    """
    frame = answered.frame
    bad = frame["target.default"].to_numpy() > 0
    now = float(bad.mean())
    if not 0 < now < 1:
        raise InputError("the held-out records have one outcome alone, and test no calibration")
    odds = (rate / (1 - rate)) * ((1 - now) / now)
    keep = np.zeros(len(frame), dtype=bool)
    for which, share in ((bad, min(odds, 1.0)), (~bad, min(1 / odds, 1.0))):
        rows = np.flatnonzero(which)
        order = np.argsort(frame["record"].to_numpy()[rows].astype(str), kind="stable")
        keep[rows[order[: round(share * len(rows))]]] = True
    fewest = int(min((keep & bad).sum(), (keep & ~bad).sum()))
    if fewest < _FEWEST:
        raise InputError(
            f"--rate {rate:g}: {fewest} held-out records of the rarer outcome could test it, "
            f"{_FEWEST} needed; bring a labelled file (--data)"
        )
    return replace(answered, frame=frame[keep].reset_index(drop=True))


def answers_after(answered: Answers, change: Change) -> Answers:
    """The same records with the probabilities after a change; decisions stay."""
    name = "prediction.probability"
    return replace(answered, frame=answered.frame.assign(**{name: change.moved(_p(answered))}))


def shown_on(
    answered: Answers,
    change: Change,
    cuts: tuple[float | None, float | None],
    groups: Sequence[Groups],
) -> Shown:
    """The test on stored answers of before the change.

    Args:
        answered: As the version has given them.
        change: What is tested.
        cuts: Thresholds before and after.
        groups: From `groups_of`.
    """
    frame, p = answered.frame, _p(answered)
    group = np.unique(frame["group"].to_numpy(), return_inverse=True)[1]
    y = frame["target.default"].to_numpy(dtype=float)
    tested = tested_of(y, change.moved(p), group)
    return Shown(tested, p, cuts, groups)


def groups_of(answered: Answers, told: Sequence[Table], least: int, hidden: bool) -> list[Groups]:
    """Protected groups of stored answers, which know them by number.

    Args:
        answered: The answers.
        told: Tables of groups that the version has shown, which name them in order.
        least: Records that a group needs to be told of.
        hidden: Whether not even the number of small ones is told.
    """
    made = []
    for table in told:
        column, _, what = table.title.rpartition(": ")
        if what != GROUPS or f"protected.{column}" not in answered.frame:
            continue
        code = answered.frame[f"protected.{column}"].to_numpy(dtype=int)
        enough = np.bincount(code[code >= 0], minlength=len(table.rows)) >= least
        place = np.append(np.where(enough, np.cumsum(enough) - 1, -1), -1)
        names = tuple(str(row[0]) for row, kept in zip(table.rows, enough, strict=True) if kept)
        made.append(Groups(column, names, place[code], None if hidden else 0))
    return made


def tested_of(y: np.ndarray, p: np.ndarray, group: np.ndarray) -> Tested:
    """Test records of one model, of whichever client."""
    return Tested(y, np.zeros(len(y), dtype=int), group, ("all",), {FEDERATED: p})


def _p(answered: Answers) -> np.ndarray:
    return answered.frame["prediction.probability"].to_numpy(dtype=float)


def _of(draws: np.ndarray) -> Interval:
    return interval(float(draws[0]), draws[1:])
