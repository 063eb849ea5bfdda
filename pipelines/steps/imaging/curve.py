"""How little data is enough: strategies and controls trained again on fewer images.

Every point leaves its logits on its own training images and on the test images in a file. As of
arms, choices are made on validation images, and the evaluation alone looks at test labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from domains.splits import split_key
from pipelines.progress import say
from pipelines.settings import ImagingConfig, home_key
from pipelines.stages import stage
from pipelines.steps.imaging.bases import Base, random_base
from pipelines.steps.imaging.curve_points import Point, Series, expected, fitted, pace, train_tuned
from pipelines.steps.imaging.effort import starts_somewhere, wants_controls
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.subsets import counts, draw_key, in_order, mixed
from pipelines.steps.imaging.training import Trained, starting_base
from pipelines.tracking import Job

TUNED = ("finetune", "lp-ft")
PROBE, RANDOM, SIZE = "transfer", "control: random weights", "control: size alone"
REPEATS = {"tiny": 2, "small": 3, "full": 5}
"""Draws of few training images, by scale."""
SHARE = 0.5
"""Of the time budget: what the fine-tuned points may take together."""

_MANY, _OF_MANY = 200, 3  # above so many images fewer draws differ less, and cost more


@dataclass(frozen=True)
class Curve:
    """What was trained on fewer images, from which base, and what was left out.

    Attributes:
        base: Of all series but the controls, for a reader; empty where nothing was trained.
        points: In the order of their training.
        left_out: Sentences.
    """

    base: str = ""
    points: list[Point] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@stage(kind="training")
def train_curve(
    job: Job, prepared: Prepared, bases: list[Base], trained: Sequence[Trained]
) -> Curve:
    """The learning curve, where it is asked for; see `wanted`.

    The base is the one that the job fine-tunes: whose probe on all training images does best on
    validation. Fine-tuning takes at most `SHARE` of the time budget, few images and first draws
    first; what does not fit is left out and said.
    """
    config: ImagingConfig = job.config
    if not wanted(config):
        return Curve()
    base = starting_base(job, prepared, bases, [t for t in trained if _is_probe(t)])
    asked = config.learning_curve
    sizes = counts(len(prepared.target.rows("train")), asked if isinstance(asked, list) else None)
    series = list(_series(job, prepared, base))
    return train_points(
        job, prepared, series, sizes, REPEATS[config.scale], SHARE * config.time_budget
    )


def wanted(config: ImagingConfig) -> bool:
    """Whether there is a curve: where counts are given; else at scale full, or with all controls.

    Images of any kind have one on the terms of their controls: it reveals no more than these do.
    """
    if isinstance(config.learning_curve, list):
        return True
    if config.learning_curve == "none" or not wants_controls(config):
        return False
    return config.scale == "full" or config.controls == "full"


def _is_probe(trained: Trained) -> bool:
    return trained.role == "arm" and trained.strategy == "transfer"


def _series(job: Job, prepared: Prepared, base: Base) -> Iterator[Series]:
    """Of a base that has learned nothing a probe is a control, and fine-tuning is from scratch."""
    starts = starts_somewhere(job.config)
    if starts:
        yield Series(PROBE, "transfer", base)
    for name in TUNED if starts else TUNED[:1]:
        yield Series(name, name, base)
    if wants_controls(job.config):
        yield Series(RANDOM, "transfer", random_base(job, prepared))
        if prepared.target.sizes() is not None:
            yield Series(SIZE, "", None)


def train_points(
    job: Job,
    prepared: Prepared,
    series: Sequence[Series],
    sizes: Sequence[int],
    repeats: int,
    seconds: float | None,
) -> Curve:
    """Every point that fits: heads on features that do not change first, then trainings.

    Args:
        job: The job.
        prepared: Its images.
        series: What learns.
        sizes: Of the subsets, rising; the last are all training images.
        repeats: Draws of a subset; fewer of large ones, one of all.
        seconds: What the series that train their base may take together; None: all they need.
    """
    draws = _draws(job, prepared, sizes, repeats)
    tuned = [each for each in series if each.strategy in TUNED]
    points: list[Point] = []
    skipped: list[tuple[str, int]] = []
    for each in series:
        if each not in tuned:
            points += fitted(job, prepared, each, draws)
    left, paces = seconds, [0.0 if seconds is None else pace(job, prepared, s) for s in tuned]
    for (repeat, count), (each, an_image) in product(draws, list(zip(tuned, paces, strict=True))):
        rows = draws[repeat, count]
        if left is not None and expected(job, prepared, an_image, rows) > left:
            skipped.append((each.name, count))
            continue
        points.append(train_tuned(job, prepared, each, repeat, rows))
        took = points[-1].seconds
        say(f"learning curve: {each.name} on {count} images, draw {repeat + 1}: {took:.0f} s")
        left = None if left is None else left - took
    say(f"learning curve: {len(points)} trainings, {len(skipped)} left out")
    notes = [each.base.note for each in series if each.base is not None]
    return Curve(notes[0] if notes else "", points, _said(skipped, sizes, seconds or 0.0))


def _draws(
    job: Job, prepared: Prepared, sizes: Sequence[int], repeats: int
) -> dict[tuple[int, int], np.ndarray]:
    """Training rows by draw and size, first draws first; a draw's sizes lie inside one another."""
    target = prepared.target
    records, y, train = target.records(), target.labels(), target.rows("train")
    secret = None if target.dataset.public else home_key()
    key = split_key(job.config.seed, secret)
    groups, ids = records["group"].to_numpy(), records["id"].to_numpy()
    found = {}
    for repeat in range(repeats):
        order = in_order(train, groups, ids, y, min(sizes), draw_key(key, repeat))
        for count in sizes:
            if repeat < _repeats(count, sizes[-1], repeats) and mixed(y[order[:count]]):
                found[repeat, count] = order[:count]
    return found


def _repeats(count: int, images: int, repeats: int) -> int:
    if count == images:
        return 1
    return repeats if count <= _MANY else min(repeats, _OF_MANY)


def _said(skipped: Sequence[tuple[str, int]], sizes: Sequence[int], seconds: float) -> list[str]:
    """What did not fit, a sentence a series."""
    found = []
    for name in dict.fromkeys(name for name, _ in skipped):
        each = Counter(count for other, count in skipped if other == name)
        listed = ", ".join(f"{each[n]} with {n:,}" for n in sizes if each[n])
        found.append(
            f"Trainings of {name} that the learning curve leaves out, for they did not fit in the "
            f"{seconds:.0f} s that it may fine-tune for: {listed} images."
        )
    return found
