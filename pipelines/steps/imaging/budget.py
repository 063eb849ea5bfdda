"""What fits in the time that `auto` may take, found by training a little and counting."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from domains import durable
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.strategies.learned import Learned
from models.imaging.tuning import Tuning
from pipelines.life.arms import once
from pipelines.progress import say
from pipelines.tracking import Job

FEWEST = 2
"""Epochs below which a strategy is left out rather than cut short."""
_BATCHES = 2
_LEFT_OUT = "left-out.json"


@dataclass(frozen=True)
class Pace:
    """How fast a strategy trained here when it was tried.

    Attributes:
        epoch: Seconds that an epoch takes, validation included.
        epochs: How many fit, at most as many as were asked for.
    """

    epoch: float
    epochs: int


def allowed(
    job: Job,
    name: str,
    learn: Callable[..., Learned],
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    seconds: float,
) -> int:
    """Epochs of a strategy that fit in so many seconds; 0 where fewer than `FEWEST` do.

    The strategy is tried on a few batches, in a copy of the net. The answer is written down, so
    that a job that is taken up again trains as it began. What is left out is told.

    Args:
        job: The job.
        name: Of the arm.
        learn: Its strategy.
        net: Stays as it is.
        examples: What it would learn from.
        tuning: How it would be trained.
        seconds: What is left for it.
    """

    def measure() -> Pace:
        epoch = seconds_an_epoch(learn, net, examples, tuning)
        return Pace(epoch, int(min(tuning.epochs, max(seconds, 0.0) // epoch)))

    pace = once(job, Pace, f"pace of {name}", measure)
    if pace.epochs >= min(FEWEST, tuning.epochs):
        if pace.epochs < tuning.epochs:
            say(f"{name}: {pace.epochs} of {tuning.epochs} epochs fit in the time budget")
        return pace.epochs
    _leave_out(
        job,
        name,
        f"{name} did not fit in the time budget of {job.config.time_budget:.0f} s: "
        f"an epoch takes about {pace.epoch:.0f} s, {max(seconds, 0.0):.0f} s were left for it.",
    )
    return 0


def shortened(
    job: Job,
    name: str,
    learn: Callable[..., Learned],
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    seconds: float,
) -> int:
    """Epochs of a training that others start from: as many as fit, and `FEWEST` in any case.

    See `allowed` for the arguments; `name` says what is trained.
    """

    def measure() -> Pace:
        epoch = seconds_an_epoch(learn, net, examples, tuning)
        fitting = max(int(seconds // epoch), FEWEST)
        return Pace(epoch, min(tuning.epochs, fitting))

    pace = once(job, Pace, f"pace of {name}", measure)
    if pace.epochs < tuning.epochs:
        _leave_out(
            job,
            name,
            f"{name} was trained for {pace.epochs} epochs of {tuning.epochs}: an epoch takes about "
            f"{pace.epoch:.0f} s, and {seconds:.0f} s of the time budget were for it.",
        )
    return pace.epochs


def seconds_an_epoch(
    learn: Callable[..., Learned], net: Classifier, examples: Examples, tuning: Tuning
) -> float:
    """What an epoch would take, from two batches of it in a copy of the net.

    They are timed twice, and the quicker time counts: the first batches of a kind are slow.
    """
    rng = np.random.default_rng(tuning.seed)
    train, validation = examples.train, examples.validation
    few = rng.permutation(train)[: _BATCHES * tuning.batch_size]
    share = len(few) / len(train)
    held = rng.permutation(validation)[: max(int(share * len(validation)), 2)]
    trial = replace(examples, train=np.sort(few), validation=np.sort(held))
    once_through = replace(tuning, epochs=1)
    tries = [learn(copy.deepcopy(net), trial, once_through).history.seconds for _ in range(2)]
    return max(min(tries) / share, 1e-3)


def left_out(job: Job) -> list[str]:
    """Sentences about the strategies that did not fit, and the trainings that were cut short."""
    return list(_left_out(job).values())


def _left_out(job: Job) -> dict[str, str]:
    path = job.folder / _LEFT_OUT
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _leave_out(job: Job, name: str, what: str) -> None:
    say(what)
    durable.write(job.folder / _LEFT_OUT, json.dumps(_left_out(job) | {name: what}))
