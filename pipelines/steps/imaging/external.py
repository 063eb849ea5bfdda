"""Images from elsewhere: the same labels, other patients, and how much the model loses there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from domains.healthcare.images.set import ImageSet
from domains.metrics import Interval, Metric, gap, interval, named, resamples
from models.imaging.scorer import ImagingScorer
from pipelines.evidence import Cell, Table
from pipelines.reporting.wording import measured, with_bounds
from pipelines.steps.imaging.measuring import Sure, metrics_of
from pipelines.steps.imaging.tested import Answered, Tested, answer
from pipelines.steps.imaging.trust import Trust

_TOLD = {"auroc": "AUROC", "accuracy": "accuracy", "ece": "calibration error",
         "average_precision": "average precision", "sensitivity": "sensitivity at one half",
         "specificity": "specificity at one half",
         "sensitivity_at_specificity": "sensitivity at the chosen specificity",
         "specificity_reached": "specificity reached there"}  # fmt: skip

_CHOSEN = ("sensitivity_at_specificity", "specificity_reached")
_MOST = 0.5  # of the images, below which a warning of them would be missed by most


def validate(
    found: Trust, scorer: ImagingScorer, outside: ImageSet, tested: Tested, sure: Sure
) -> None:
    """Measure the packed model on all images of another set, beside its own test images.

    Nothing is fitted or chosen there: thresholds, temperature, sets and limits stay as they are.
    """
    own, on, without = _alike(
        tested.answered, answer(scorer, outside, outside.rows("test")), scorer
    )
    sure, other = replace(sure, groups=own.groups), Sure(on.groups, sure.repeats, sure.seed + 1)
    rows = []
    for name, metric in _measures(tested, on).items():
        cut = tested.point.threshold if tested.point and name in _CHOSEN else 0.5
        here, there, drop = drops(name, metric, own, on, sure, other, cut)
        found.metrics |= named(f"external.{name}", there)
        rows.append(_row(_TOLD[name], here, there, drop))
        if name == "auroc":
            ranked, fell = _said(outside, here, there, drop), drop.high < 0
    promises = list(_promises(found, scorer, own, on, sure, other))
    rows += [_row(*line) for line in promises]
    found.said.insert(0, ranked + without + _kept(found, scorer))
    if fell and found.metrics.get("external.unlike", 1.0) < _MOST:
        found.limits.append(_unwarned(found.metrics["external.unlike"]))
    columns = ["measure", "own test images", "external", "difference"]
    found.tables.insert(
        0,
        Table(
            "External validation",
            f"{len(on.y):,} images of {len(np.unique(on.groups)):,} groups of "
            f"{outside.dataset.name}, of which nothing was learned or chosen. The difference is "
            f"external minus own, with a 95 % interval that resamples both.{without}",
            columns,
            rows,
            section="worth",
        ),
    )


def _alike(own: Answered, on: Answered, scorer: ImagingScorer) -> tuple[Answered, Answered, str]:
    """Both sides on the classes or labels that can be told of on both, and which those are not.

    A mean over three classes on one side and over two on the other would differ by the third.
    """
    if on.y.ndim == 2:
        told = (on.y.min(axis=0) == 0) & (on.y.max(axis=0) == 1)
        own, on = (replace(each, y=each.y[:, told], p=each.p[:, told]) for each in (own, on))
    else:
        told = np.isin(np.arange(len(scorer.classes)), on.y)
        own = _some(own, told[own.y])
    lost = [name for name, there in zip(scorer.classes, told, strict=True) if not there]
    if not lost:
        return own, on, ""
    what = "All or none" if on.y.ndim == 2 else "None"
    return (
        own,
        on,
        f" {what} of the external images have {', '.join(lost)}: both sides are told without.",
    )


def _some(own: Answered, which: np.ndarray) -> Answered:
    """The answers to some of the images."""
    return Answered(
        own.y[which],
        own.groups[which],
        own.p[which],
        None if own.members is None else own.members[which],
        None if own.distance is None else own.distance[which],
    )


def _measures(tested: Tested, on: Answered) -> dict[str, Metric]:
    """Those of the own test images, and what the threshold set for a specificity does there."""
    found, point = metrics_of(on.y, on.p), tested.point
    if point is None:
        return found
    reached = {"specificity_reached": point.specificity}
    return {**found, "sensitivity_at_specificity": point.sensitivity, **reached}


def drops(
    name: str,
    metric: Metric,
    own: Answered,
    other: Answered,
    sure: Sure,
    there: Sure,
    cut: float = 0.5,
) -> tuple[Interval, Interval, Interval]:
    """A metric on both sets, and other minus own; the sets are resampled independently.

    `cut` is the probability above which the metric calls an image positive, if it does.
    """
    pairs = [_draws(metric, own, sure), _draws(metric, other, there)]
    slacks = sure.slack(name, own.y, own.p, cut), there.slack(name, other.y, other.p, cut)
    here, away = (interval(*pair, slack) for pair, slack in zip(pairs, slacks, strict=True))
    difference = pairs[1][0] - pairs[0][0]
    return here, away, gap(difference, pairs[1][1] - pairs[0][1], max(slacks))


def _draws(metric: Metric, on: Answered, sure: Sure) -> tuple[float, np.ndarray]:
    weights = resamples(len(on.y), on.groups, sure.repeats, sure.seed)
    return metric(on.y, on.p), np.array([metric(on.y, on.p, w) for w in weights])


def _promises(
    found: Trust, scorer: ImagingScorer, own: Answered, on: Answered, sure: Sure, other: Sure
) -> Iterator[tuple[str, Interval, Interval, Interval]]:
    """What was promised of patients like the own ones, and holds elsewhere or does not."""
    if own.members is not None and on.members is not None:
        said = shares(own.covered(), on.covered(), sure, other)
        found.metrics |= named("external.set_coverage", said[1])
        promised = scorer.sets.coverage if scorer.sets else float("nan")
        yield f"sets that hold the true class (promised {promised:.0%})", *said
    if own.distance is not None and on.distance is not None:
        said = shares(own.distance > 1, on.distance > 1, sure, other)
        found.metrics |= named("external.unlike", said[1])
        yield "images warned of as unlike", *said


def shares(
    own: np.ndarray, other: np.ndarray, sure: Sure, there: Sure
) -> tuple[Interval, Interval, Interval]:
    """The share of patients' images on both sets, and other minus own.

    The difference is as wide as both together (Newcombe, 1998, doi:10.1002/sim.1404: the square
    root of the summed squares), so that a flawless side leaves open what it does by itself.
    """
    here, away = sure.of_patients(own), there.of_patients(other)
    value = away.value - here.value
    low = value - float(np.hypot(away.value - away.low, here.high - here.value))
    high = value + float(np.hypot(away.high - away.value, here.value - here.low))
    return here, away, Interval(value, low, high)


def _row(name: str, here: Interval, there: Interval, drop: Interval) -> list[Cell]:
    return [name, measured(here), measured(there), measured(drop)]


def _kept(found: Trust, scorer: ImagingScorer) -> str:
    """Whether prediction sets keep their promise there; empty without sets."""
    if scorer.sets is None or "external.set_coverage" not in found.metrics:
        return ""
    return (
        f" Prediction sets, promised to hold the true class for {scorer.sets.coverage:.0%}, do so "
        f"for {found.metrics['external.set_coverage']:.1%} there."
    )


def _unwarned(share: float) -> str:
    return (
        "The warning of unlike images is no guard against images from elsewhere: of those, on "
        f"which the model does worse, {share:.1%} are warned of."
    )


def _said(outside: ImageSet, here: Interval, there: Interval, drop: Interval) -> str:
    if drop.high < 0:
        verdict = "a loss beyond its interval: trust it there less than its own test suggests"
    elif drop.low > 0:
        verdict = "a gain beyond its interval"
    else:
        verdict = "no difference beyond its interval"
    return (
        f"On images from elsewhere ({outside.dataset.name}) AUROC is {with_bounds(there)} against "
        f"{here.value:.3f} on its own test images: {with_bounds(drop, signed=True)}, {verdict}."
    )
