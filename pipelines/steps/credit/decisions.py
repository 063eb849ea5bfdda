"""What a lender would do with the scores: approve up to a threshold, trust the probabilities, give
reasons, and move the probabilities when the default rate moves.

Thresholds and calibrations are chosen on calibration records and told on test records.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from domains.banking import approval
from domains.metrics import Interval, ece, interval, named
from models.calibration import calibration_line, fit_platt, log_odds, shifted_intercept
from models.credit import load_scorer
from models.credit_counterfactuals import Agreement, agreement
from pipelines.evidence import Cell, Figure, Metrics, Table
from pipelines.settings import CreditConfig
from pipelines.steps.credit import judgements
from pipelines.steps.credit.pictures import uncalibrated
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import Tested
from pipelines.steps.credit.training import FEDERATED, Trained, package_of
from pipelines.tracking import Job

_REASONED = 500
_HALF = 200
"""Records that either half of the out-of-time test needs before a recalibration is tried on it."""


@dataclass(frozen=True)
class Panel:
    """Part of a run's evidence: numbers, sentences, tables and figures."""

    metrics: Metrics = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


def cut_off(prepared: Prepared, model: Trained, rate: float) -> float:
    """The probability of default up to which `rate` of the calibration records is approved."""
    chosen = (prepared.facts["part"] == "calibration").to_numpy()
    p = model.read()[chosen]
    return approval.threshold(p, rate) if len(p) else 1.0


def decide(
    job: Job, prepared: Prepared, tested: Tested, model: Trained, later: Tested | None
) -> Panel:
    """Calibration, a threshold, reasons and a shift of the default rate, on test records.

    Args:
        job: The job.
        prepared: Its loans.
        tested: The test records.
        model: The registered model.
        later: The out-of-time test, of a model that saw no later approval; None without one.
    """
    config: CreditConfig = job.config
    cut = cut_off(prepared, model, config.approval_rate)
    calibrated, decided = calibration_of(tested), decided_of(tested, cut)
    checked = _reasoned(job, prepared)
    tables = [decision_table(config.approval_rate, cut, decided), _reason_table(checked)]
    said = [
        judgements.calibrated(calibrated["calibration_slope"]),
        judgements.decided(config.approval_rate, decided),
        judgements.reasoned(checked),
    ]
    if later is not None and (moved := after_shift(prepared, later)) is not None:
        tables.append(moved.table())
        said.append(judgements.shifted(moved))
    metrics = {k: v for n, i in {**calibrated, **decided}.items() for k, v in named(n, i).items()}
    return Panel(metrics, [each for each in said if each], tables)


def calibration_of(tested: Tested) -> dict[str, Interval]:
    """Slope and intercept of the registered model's probabilities, see `calibration_line`."""
    p = tested.scores[FEDERATED]
    lines = np.array([calibration_line(tested.y, p, row) for row in tested.weights])
    return {
        "calibration_slope": _of(lines[:, 0]),
        "calibration_intercept": _of(lines[:, 1]),
    }


def fitted(tested: Tested, model: Trained) -> dict[str, float | str]:
    """What the calibration did: its line, and the calibration error before and after."""
    slope, intercept = model.calibration
    p = tested.scores[FEDERATED]
    return {
        "method": "Platt, on calibration records",
        "slope": slope,
        "intercept": intercept,
        "ece_before": ece(tested.y, uncalibrated(p, slope, intercept)),
        "ece_after": ece(tested.y, p),
    }


def decided_of(tested: Tested, cut: float) -> dict[str, Interval]:
    """Who is approved, who of them defaults, and whom of the good payers the threshold loses."""
    p = tested.scores[FEDERATED]
    alone = np.zeros(len(p), dtype=int)
    found = approval.rates(tested.weights, tested.y, p, p <= cut, alone)
    return {
        "approval.rate": _of(found.approved[:, 0]),
        "approval.default_rate": _of(found.bad[:, 0]),
        "approval.of_repaid": _of(found.of_repaid[:, 0]),
        "approval.of_defaulted": _of(found.of_defaulted[:, 0]),
        "default_rate": _of(found.default[:, 0]),
    }


def _reasoned(job: Job, prepared: Prepared) -> Agreement:
    """Reasons of a sample of test records against counterfactuals, by the packed model."""
    rows = np.flatnonzero(prepared.facts["part"] == "test")
    if len(rows) > _REASONED:
        rows = np.sort(np.random.default_rng(0).choice(rows, _REASONED, replace=False))
    return agreement(load_scorer(package_of(job)), prepared.frame.iloc[rows])


@dataclass(frozen=True)
class Shifted:
    """One model after the default rate moved: as it is, by the new rate alone, fitted anew.

    Attributes:
        before, after: Default rates of the held-out earlier records and of half the later ones.
        errors: Way → calibration error on the other half of the later records.
        lines: Way → calibration slope and intercept there.
        records: In that half.
    """

    before: float
    after: float
    errors: dict[str, float]
    lines: dict[str, tuple[float, float]]
    records: int

    def table(self) -> Table:
        """A row a way."""
        rows: list[list[Cell]] = [[way, self.errors[way], *self.lines[way]] for way in self.errors]
        return Table(
            title="Recalibration after a shift of the default rate",
            caption=f"Trained on earlier approvals; the default rate went from {self.before:.1%} "
            f"to {self.after:.1%}. Rate and fit come from half of the later borrowers; the numbers "
            f"are of the other half ({self.records:,} records). A rate needs no record's outcome; "
            "a fit needs them all, which takes as long as loans take to default.",
            columns=["probabilities", "calibration error", "slope", "intercept"],
            rows=rows,
        )


AS_THEY_ARE, BY_RATE, REFITTED = "as they are", "moved to the new rate", "fitted anew"


def after_shift(prepared: Prepared, later: Tested) -> Shifted | None:
    """What a correction of the intercept alone gives back of a calibration lost to a new default
    rate; None where there are too few later records."""
    facts = prepared.facts
    held = facts[(facts["part"] == "calibration") & ~facts["later"]]
    first = later.group % 2 == 0
    enough = min(first.sum(), (~first).sum()) >= _HALF
    if not enough or not len(held) or {0.0, 1.0} - {*later.y[first]} or held["y"].nunique() < 2:
        return None
    z, y = log_odds(next(iter(later.scores.values()))), later.y
    before, after = float(held["y"].mean()), float(y[first].mean())
    slope, intercept = fit_platt(z[first], y[first])
    ways = {
        AS_THEY_ARE: z,
        BY_RATE: z + shifted_intercept(0.0, before, after),
        REFITTED: slope * z + intercept,
    }
    told = {way: np.asarray(expit(moved))[~first] for way, moved in ways.items()}
    return Shifted(
        before,
        after,
        {way: ece(y[~first], p) for way, p in told.items()},
        {way: calibration_line(y[~first], p) for way, p in told.items()},
        int((~first).sum()),
    )


def decision_table(rate: float, cut: float, found: dict[str, Interval]) -> Table:
    """A row a share that `decided_of` has found."""
    told = [
        ("approved", "approval.rate"),
        ("default rate of all", "default_rate"),
        ("default rate of those approved", "approval.default_rate"),
        ("approved of those who repaid", "approval.of_repaid"),
        ("approved of those who defaulted", "approval.of_defaulted"),
    ]
    return Table(
        title=f"Decisions at an approval rate of {rate:.0%}",
        caption=f"Approved is whoever has a probability of default of at most {cut:.4f}, which was "
        "chosen on calibration records; shares are of test records, with 95 % intervals.",
        columns=["share", "value"],
        rows=[[said, share_shown(found[name])] for said, name in told],
    )


def _reason_table(found: Agreement) -> Table:
    fixed = (
        f" Not moved, because their raw columns make other features too: {', '.join(found.fixed)}."
        if found.fixed
        else ""
    )
    named, others = _share(found.agreed, found.named), _share(found.others_lowered, found.others)
    return Table(
        title="Reasons against counterfactuals",
        caption=f"Of {found.records} test records, each feature was moved to its reference in the "
        f"raw record, and the packed model asked again.{fixed}",
        columns=["feature", "moved", "risk fell", "share"],
        rows=[
            ["named as a reason", found.named, found.agreed, named],
            ["not named", found.others, found.others_lowered, others],
        ],
    )  # fmt: skip


def _share(part: int, whole: int) -> str | None:
    return f"{part / whole:.1%}" if whole else None


def shown(value: Interval, signed: bool = False) -> str | None:
    """A value with its interval for a table's cell; None, a dash, where there is none."""
    if not np.isfinite(value.value):
        return None
    sign = "+" if signed else ""
    return f"{value.value:{sign}z.3f} ({value.low:{sign}z.3f} to {value.high:{sign}z.3f})"


def share_shown(value: Interval) -> str | None:
    """A share of records with its interval for a table's cell, as sentences tell it."""
    if not np.isfinite(value.value):
        return None
    return f"{value.value:z.1%} ({value.low:z.1%} to {value.high:z.1%})"


def points_shown(value: Interval) -> str | None:
    """The difference of two shares, in percentage points, for a table's cell."""
    points = Interval(*(100 * each for each in (value.value, value.low, value.high)))
    if not np.isfinite(points.value):
        return None
    return f"{points.value:+z.2f} ({points.low:+z.2f} to {points.high:+z.2f})"


def _of(draws: np.ndarray) -> Interval:
    return interval(float(draws[0]), draws[1:])
