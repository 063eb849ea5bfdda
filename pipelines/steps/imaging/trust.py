"""How far the registered model's answers can be trusted: sets, thresholds, strangers, groups."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from domains.healthcare.few import HIDDEN, counted, patients_in
from domains.metrics import average_precision, named
from models.conformal import fewest_patients
from models.imaging.scorer import ImagingScorer
from pipelines.evidence import Cell, Table
from pipelines.reporting.wording import measured, percent
from pipelines.steps.imaging.measuring import Sure
from pipelines.steps.imaging.packing import FEWEST
from pipelines.steps.imaging.tested import Answered, Tested

_SECTION = "calibration"
_METHODS = {
    "lac": "LAC, the smallest sets",
    "aps": "APS, misses spread over easy and hard images",
}


@dataclass
class Trust:
    """What was found; further findings are added to it.

    Attributes:
        metrics: By name, with bounds beside them.
        tables: For the report.
        said: Sentences.
        limits: What must not be concluded.
        exported: What is said of files for other machines.
        public: Whether few patients may be counted, see `domains.healthcare.few`.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    exported: list[str] = field(default_factory=list)
    public: bool = True


def examine(scorer: ImagingScorer, tested: Tested, sure: Sure, public: bool = True) -> Trust:
    """Everything about the registered model that its metrics alone do not say."""
    found = Trust(public=public)
    _sets(found, scorer, tested.answered, sure)
    _point(found, tested, sure, scorer.classes)
    _strangers(found, scorer, tested.answered, sure)
    if tested.answered.p.ndim == 2:
        found.tables.append(_each_class(tested.answered, scorer.classes, sure, public))
    return found


def _sets(found: Trust, scorer: ImagingScorer, on: Answered, sure: Sure) -> None:
    sets = scorer.sets
    if sets is None or on.members is None:
        return
    hit = on.covered()
    size = on.members.sum(axis=1)
    covered, mean, one = (sure.of_patients(each) for each in (hit, size, size == 1))
    found.metrics |= named("set_coverage", covered) | named("set_size", mean)
    whole = sets.patients < fewest_patients(sets.coverage)
    if whole:
        found.limits.append(
            f"Prediction sets hold every class: {sets.patients} calibration patients are too few "
            f"to promise {sets.coverage:.0%}, which takes {fewest_patients(sets.coverage)}."
        )
    else:
        found.said.append(
            f"Every answer carries a prediction set, promised to hold the true class for "
            f"{sets.coverage:.0%} of new patients like these ({_METHODS[sets.method]}, set by "
            f"{sets.patients} calibration patients). On test images it does so for "
            f"{percent(covered)}, with {mean.value:.2f} of {len(scorer.classes)} classes in a "
            f"set; {one.value:.0%} of the sets name one class."
        )
    found.tables.append(_sets_table(scorer, on, hit, size, sure, found.public))


def _sets_table(
    scorer: ImagingScorer,
    on: Answered,
    hit: np.ndarray,
    size: np.ndarray,
    sure: Sure,
    public: bool,
) -> Table:
    assert scorer.sets is not None  # noqa: S101 - the caller has looked
    groups = [("all", on.y >= 0), *((name, on.y == k) for k, name in enumerate(scorer.classes))]
    rows = [_set_row(name, which, hit, size, sure, public) for name, which in groups]
    return Table(
        "Prediction sets",
        f"Promised: {scorer.sets.coverage:.0%} of new patients, over all classes together and for "
        "an image drawn at random from each; nothing is promised of one class, of one group, or "
        "of patients from elsewhere. Means over patients, 95 % intervals by patient.",
        [
            "true class",
            "images",
            "true class in the set",
            "low",
            "high",
            "classes a set",
            "sets of one",
        ],
        rows,
        section=_SECTION,
    )


def _set_row(
    name: str, which: np.ndarray, hit: np.ndarray, size: np.ndarray, sure: Sure, public: bool
) -> list[Cell]:
    count = counted(int(which.sum()), patients_in(sure.groups[which]), public)
    if not which.any() or count == HIDDEN:
        return [name, count, None, None, None, None, None]
    among = Sure(sure.groups[which], sure.repeats, sure.seed)
    covered = among.of_patients(hit[which])
    mean, one = among.of_patients(size[which]), among.of_patients(size[which] == 1)
    return [name, count, covered.value, covered.low, covered.high, mean.value, one.value]


def _point(found: Trust, tested: Tested, sure: Sure, classes: tuple[str, ...]) -> None:
    point, on = tested.point, tested.answered
    if point is None:
        return
    if point.negatives < FEWEST:
        found.limits.append(
            f"The threshold for a specificity of {point.aim:.0%} was set by {point.negatives} "
            f"calibration images of {classes[0]}, which is few."
        )
    reached = sure.of(
        point.specificity, on.y, on.p, sure.slack("specificity", on.y, on.p, point.threshold)
    )
    sensed = sure.of(
        point.sensitivity, on.y, on.p, sure.slack("sensitivity", on.y, on.p, point.threshold)
    )
    found.metrics |= named("sensitivity_at_specificity", sensed)
    found.metrics |= named("specificity_reached", reached)
    found.said.append(
        f"With {classes[1]} called above a probability of {point.threshold:.3g}, set on "
        f"calibration images for a specificity of {point.aim:.0%}, test images have a sensitivity "
        f"of {percent(sensed)} at a specificity of {percent(reached)}."
    )


def _strangers(found: Trust, scorer: ImagingScorer, on: Answered, sure: Sure) -> None:
    if scorer.familiar is None or on.distance is None:
        return
    known = scorer.familiar
    alarms = sure.of_patients(on.distance > 1)
    found.metrics |= named("false_alarms", alarms)
    basis = f"{known.level:.0%} of {known.patients} calibration patients' images pass"
    if known.patients < fewest_patients(known.level):
        basis = f"the farthest image of {known.patients} calibration patients is the limit"
    found.said.append(
        f"An image whose features lie far from the training images' is answered with a warning "
        f"({basis}). Of test images, which are like them, {percent(alarms)} are warned of falsely."
    )


def _each_class(on: Answered, classes: tuple[str, ...], sure: Sure, public: bool) -> Table:
    labels = on.y.ndim == 2
    rows: list[list[Cell]] = []
    for k, name in enumerate(classes):
        y = (on.y[:, k] if labels else on.y == k).astype(int)
        area = sure.area(y, on.p[:, k])
        open_to = sure.slack("average_precision", y, on.p[:, k])
        precision = sure.of(average_precision, y, on.p[:, k], open_to)
        count = counted(int(y.sum()), patients_in(sure.groups[y > 0]), public)
        told = [None, None] if count == HIDDEN else [measured(area), measured(precision)]
        rows.append([name, count, *told])
    return Table(
        "Each label" if labels else "Each class against the rest",
        "Test images, 95 % intervals by patient; a dash where all or none of them have it.",
        ["label" if labels else "class", "images", "AUROC", "average precision"],
        rows,
    )
