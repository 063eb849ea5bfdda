"""One point of the learning curve: a strategy or control, trained on so many images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from domains import durable
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.features import features
from models.imaging.head import fit_head
from models.imaging.strategies import make
from models.imaging.strategies.learned import Learned
from models.imaging.tuning import Tuning, from_scratch, logits
from pipelines.life.arms import checkpoint, once
from pipelines.steps.imaging.bases import Base, load_base
from pipelines.steps.imaging.budget import Pace, seconds_an_epoch
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.training import examples_of, new_net, settings_for, tuning_of
from pipelines.tracking import Job

_STEPS = 8  # an epoch of fewer would end a training on few images before it has moved


@dataclass(frozen=True)
class Series:
    """A line of the figure: what learns, and from where. Without a base: from size features."""

    name: str
    strategy: str
    base: Base | None


@dataclass(frozen=True)
class Point:
    """One training on so many images.

    Attributes:
        series: Name of what learned.
        count: Images that it learned from.
        repeat: Number of the draw.
        patients: Patients whom they show.
        seconds: Training time.
        answers: `.npz`: `rows`, (count,) of its training images; `train` and `test`, logits (·, k).
    """

    series: str
    count: int
    repeat: int
    patients: int
    seconds: float
    answers: Path


def fitted(
    job: Job, prepared: Prepared, series: Series, draws: dict[tuple[int, int], np.ndarray]
) -> Iterator[Point]:
    """Heads on what does not change: features of a frozen base, or sizes."""
    examples, outputs = examples_of(job, prepared), len(prepared.target.classes)
    values = _values(job, prepared, series, examples)

    def answers(rows: np.ndarray) -> np.ndarray:
        head = fit_head(values, examples.targets, rows, examples.validation, outputs)
        return head.logits(values[_asked(prepared, rows)])

    for (repeat, _), rows in draws.items():
        yield _point(job, prepared, _name(series, rows, repeat), rows, answers)


def _values(job: Job, prepared: Prepared, series: Series, examples: Examples) -> np.ndarray:
    if series.base is not None:
        backbone = load_base(job, prepared, series.base)
        return features(backbone, examples.images, examples.cache, job.config.precision)
    sizes = prepared.target.sizes()
    assert sizes is not None  # noqa: S101 - such a series is made of sets that have them
    return np.asarray(np.log1p(sizes))


def train_tuned(
    job: Job, prepared: Prepared, series: Series, repeat: int, rows: np.ndarray
) -> Point:
    """A base trained on, all layers of it."""
    name = _name(series, rows, repeat)

    def answers(rows: np.ndarray) -> np.ndarray:
        net, learn, tuning = _learner(job, prepared, series)
        examples = _often(examples_of(job, prepared), rows, tuning.batch_size)
        learn(net, examples, tuning, None, checkpoint(job, "-".join(map(str, name))))
        return logits(net, examples.images, _asked(prepared, rows))

    return _point(job, prepared, name, rows, answers)


def _learner(
    job: Job, prepared: Prepared, series: Series
) -> tuple[Classifier, Callable[..., Learned], Tuning]:
    assert series.base is not None  # noqa: S101 - what is trained starts somewhere
    net = new_net(load_base(job, prepared, series.base), prepared)
    learn = make(series.strategy, settings_for(job.config, series.strategy))
    tuning = tuning_of(job.config, prepared)
    return net, learn, from_scratch(tuning) if series.base.name == "random" else tuning


def _often(examples: Examples, rows: np.ndarray, batch: int) -> Examples:
    """An epoch that goes over few images more than once, in other views each time."""
    times = max(-(-_STEPS * batch // len(rows)), 1)
    return replace(examples, train=np.tile(rows, times))


def pace(job: Job, prepared: Prepared, series: Series) -> float:
    """Seconds that an epoch takes an image, from a few batches; see `expected`."""
    examples = examples_of(job, prepared)

    def measure() -> Pace:
        net, learn, tuning = _learner(job, prepared, series)
        return Pace(seconds_an_epoch(learn, net, examples, tuning), tuning.epochs)

    found = once(job, Pace, f"pace of the learning curve, {series.name}", measure)
    return found.epoch / _work(examples)


def expected(job: Job, prepared: Prepared, an_image: float, rows: np.ndarray) -> float:
    """Seconds that a training takes when it is not stopped early, by the pace of its series."""
    tuning = tuning_of(job.config, prepared)
    examples = _often(examples_of(job, prepared), rows, tuning.batch_size)
    return an_image * tuning.epochs * _work(examples)


def _work(examples: Examples) -> float:
    """Of an epoch, in images learned from: validation takes no step back, a third of the work."""
    return len(examples.train) + len(examples.validation) / 3


def _name(series: Series, rows: np.ndarray, repeat: int) -> tuple[str, int, int]:
    return series.name, len(rows), repeat


def _asked(prepared: Prepared, rows: np.ndarray) -> np.ndarray:
    return np.r_[rows, prepared.target.rows("test")]


def _point(
    job: Job,
    prepared: Prepared,
    name: tuple[str, int, int],
    rows: np.ndarray,
    answers: Callable[[np.ndarray], np.ndarray],
) -> Point:
    """Train once, and write down what it answers."""
    series, count, repeat = name
    called = f"curve {series.replace(':', '')} {count} {repeat}"

    def train() -> Point:
        started, path = time.perf_counter(), job.folder / "curve" / f"{called}.npz"
        path.parent.mkdir(exist_ok=True)
        outputs = answers(rows)
        with durable.replacing(path) as part, part.open("wb") as file:
            np.savez(file, rows=rows, train=outputs[:count], test=outputs[count:])
        patients = len(np.unique(prepared.target.records()["group"].to_numpy()[rows]))
        return Point(series, count, repeat, patients, time.perf_counter() - started, path)

    return once(job, Point, called, train)
