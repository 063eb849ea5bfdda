"""What the learning curve says: test images read once, intervals by patient, a table, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from domains.flawless import of_area
from domains.metrics import Interval, interval, resamples
from models.imaging.task import kind_of
from pipelines.evidence import Cell, Table
from pipelines.reporting.wording import measured, with_bounds
from pipelines.steps.imaging.curve import PROBE, RANDOM, SIZE, TUNED, Curve
from pipelines.steps.imaging.curve_points import Point
from pipelines.steps.imaging.measuring import Sure, ranking
from pipelines.steps.imaging.packing import calibrated
from pipelines.steps.imaging.prepare import Prepared

_DRAWS = 200


@dataclass(frozen=True)
class Spot:
    """What one series reaches with so many images, the mean over its draws.

    Attributes:
        series: Its name.
        count, patients: Images that it learned from; patients whom they show, on average.
        repeats: Draws of training images.
        test: AUROC on test images.
        train: AUROC on the images that it learned from.
        gap: `train` − `test`: how far it learned by heart.
    """

    series: str
    count: int
    patients: float
    repeats: int
    test: Interval
    train: Interval
    gap: Interval


@dataclass(frozen=True)
class Told:
    """The curve for a reader.

    Attributes:
        spots: By series, then by count.
        said: From how many images on training the base beats the probe.
        more: The same of the probe against the controls.
        tables: One, or none where there is no curve.
        limits: What was left out.
    """

    spots: list[Spot] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    more: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


def tell(curve: Curve, prepared: Prepared, sure: Sure) -> Told:
    """Measure every point on the test images, and say what follows.

    Intervals are 95 % and hold both draws: of test patients, and of training images where there
    were several. Differences are paired by both.

    Args:
        curve: What was trained.
        prepared: The images.
        sure: Test patients, and the seed of their resampling.
    """
    if not curve.points:
        return Told()
    areas = {(p.series, p.count, p.repeat): areas_of(p, prepared, sure) for p in curve.points}
    test = prepared.target.labels()[prepared.target.rows("test")]
    perfect = np.eye(int(test.max()) + 1)[test] if test.ndim == 1 else test
    spots = _spots(curve.points, areas, sure.seed, of_area(perfect, perfect, sure.groups))
    tuned = [versus(areas, name, PROBE, sure.seed) for name in TUNED]
    controls = [versus(areas, PROBE, name, sure.seed) for name in (RANDOM, SIZE)]
    said = [sentence(*pair) for pair in zip(TUNED, tuned, strict=True) if pair[1]]
    beaten = [
        sentence(PROBE, gaps, name.removeprefix("control: "))
        for name, gaps in zip((RANDOM, SIZE), controls, strict=True)
        if gaps
    ]
    told = [_enough(said)]
    more = [f"By number of training images, {'; '.join(beaten)}."] if beaten else []
    others = dict.fromkeys(spot.series for spot in spots if spot.series != PROBE)
    paired = {name: dict(versus(areas, name, PROBE, sure.seed)) for name in others}
    return Told(spots, told, more, [_table(spots, paired, curve.base)], list(curve.left_out))


def _enough(said: Sequence[str]) -> str:
    """The finding; where too few trainings fitted for one, that there is none."""
    if not said:
        return (
            "How little data is enough is not known: too few fine-tuned trainings fitted in the "
            "time to compare them with transfer, the frozen base. A longer time_budget tells."
        )
    return f"How little data is enough (transfer is the frozen base): {'; '.join(said)}."


Areas = dict[tuple[str, int, int], np.ndarray]
"""Series, count and draw → AUROC on training images, on test images, and on their resamples."""


def areas_of(point: Point, prepared: Prepared, sure: Sure) -> np.ndarray:
    """AUROC on the training images, on the test images, and on resamples of these: (2 + b,)."""
    y, test = prepared.target.labels(), prepared.target.rows("test")
    metric = ranking(y)
    heat = (1.0,) * y.shape[1] if kind_of(y) == "labels" else 1.0
    with np.load(point.answers) as kept:
        known, p = calibrated(kept["train"], heat), calibrated(kept["test"], heat)
        first = [metric(y[kept["rows"]], known), metric(y[test], p)]
    again = resamples(len(test), sure.groups, min(sure.repeats, _DRAWS), sure.seed)
    return np.array([*first, *(metric(y[test], p, weight) for weight in again)])


def _spots(points: Sequence[Point], areas: Areas, seed: int, slack: float) -> list[Spot]:
    found = []
    for series, count in dict.fromkeys((p.series, p.count) for p in points):
        these = [p for p in points if (p.series, p.count) == (series, count)]
        each = np.stack([areas[p.series, p.count, p.repeat] for p in these])
        train, test = each[:, :1], each[:, 1:]
        flawless = slack if (test[:, 0] > 1 - 1e-9).all() else None
        patients = float(np.mean([p.patients for p in these]))
        found.append(
            Spot(
                series,
                count,
                patients,
                len(these),
                mean(test, seed, flawless),
                mean(np.repeat(train, test.shape[1], axis=1), seed),
                mean(train - test, seed, flawless),
            )
        )
    names = list(dict.fromkeys(p.series for p in points))
    return sorted(found, key=lambda spot: (names.index(spot.series), spot.count))


def mean(each: np.ndarray, seed: int, slack: float | None = None) -> Interval:
    """The mean over draws of training images, with an interval over both draws.

    Of r draws r − 1 are taken again, for r of so few would vary too little (Rao and Wu, 1988).

    Args:
        each: (r, 1 + b): a row a draw; the value on the test images, then on b resamples of them.
        seed: Of the resampling of draws.
        slack: See `domains.metrics.interval`.
    """
    rng = np.random.default_rng((seed, 1))
    draws, resampled = len(each), each.shape[1] - 1
    which = rng.integers(draws, size=(max(draws - 1, 1), resampled))
    again = np.take_along_axis(each[:, 1:], which, axis=0).mean(axis=0)
    return interval(float(each[:, 0].mean()), again, slack)


def versus(areas: Areas, new: str, old: str, seed: int) -> list[tuple[int, Interval]]:
    """By count, the AUROC of one series less that of another, over the draws that both have.

    A single draw of fewer images than all says nothing of another one, and is left out.
    """
    every = max(count for _, count, _ in areas)
    shared: dict[int, list[np.ndarray]] = {}
    for (series, count, repeat), each in areas.items():
        if series == new and (old, count, repeat) in areas:
            shared.setdefault(count, []).append(each[1:] - areas[old, count, repeat][1:])
    return [
        (count, mean(np.stack(each), seed))
        for count, each in sorted(shared.items())
        if len(each) > 1 or count == every
    ]


def sentence(name: str, gaps: Sequence[tuple[int, Interval]], other: str = PROBE) -> str:
    """From how many images on one beats another beyond its interval, or that it never does.

    Args:
        name: Of the one.
        gaps: Its AUROC less the other's by number of training images, rising.
        other: What it is compared with.
    """
    ahead = [(count, gap) for count, gap in gaps if gap.low > 0]
    start = first_of_all(gaps)
    if start is not None:
        gap = dict(gaps)[start]
        return (
            f"{name} beats {other} beyond its interval from {start:,} training images on, as far "
            f"as the {gaps[-1][0]:,} compared ({_signed(gap)} there)"
        )
    if ahead:
        listed = ", ".join(f"{count:,} ({_signed(gap)})" for count, gap in ahead)
        return (
            f"{name} beats {other} beyond its interval with {listed} training images, "
            f"but not with {gaps[-1][0]:,} ({_signed(gaps[-1][1])})"
        )
    count, gap = max(gaps, key=lambda pair: pair[1].value)
    extent = f"{gaps[0][0]:,} to {gaps[-1][0]:,}" if len(gaps) > 1 else f"{count:,}"
    return (
        f"{name} never beats {other} beyond its interval ({extent} training images; "
        f"at best {_signed(gap)}, with {count:,})"
    )


def first_of_all(gaps: Sequence[tuple[int, Interval]]) -> int | None:
    """The least number of images from which on every gap lies above zero."""
    found = None
    for count, gap in reversed(gaps):
        if not gap.low > 0:
            break
        found = count
    return found


def _signed(gap: Interval) -> str:
    return with_bounds(gap, signed=True)


def _less_probe(spot: Spot, paired: Mapping[str, Mapping[int, Interval]]) -> str | None:
    gap = paired.get(spot.series, {}).get(spot.count)
    return None if gap is None else _signed(gap)


def _table(spots: Sequence[Spot], paired: Mapping[str, Mapping[int, Interval]], base: str) -> Table:
    rows: list[list[Cell]] = [
        [
            spot.count,
            spot.series,
            spot.repeats,
            round(spot.patients),
            measured(spot.test),
            None if np.isnan(spot.train.value) else f"{spot.train.value:.3f}",
            measured(spot.gap),
            _less_probe(spot, paired),
        ]
        for spot in sorted(spots, key=lambda spot: spot.count)
    ]
    return Table(
        "How little data is enough?",
        f"Base: {base}. Each draw takes whole patients by a keyed hash, smaller draws lie inside "
        "larger ones, and every strategy has the same. Random weights are frozen under the same "
        "kind of head. Penalties and epochs are chosen on all validation images, whatever the "
        "number to train on. Means over draws; 95 % intervals over test patients and draws, each "
        f"by itself. The last column is paired: on the same test patients, and over the draws that "
        f"{PROBE} and the other both have, which may be fewer than its mean is of.",
        [
            "training images",
            "what learned",
            "draws",
            "patients",
            "AUROC on test images",
            "on its training images",
            "less on test: overfitting",
            f"test, less {PROBE}",
        ],
        rows,
        section="worth",
    )
