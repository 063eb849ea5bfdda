"""Training stages of the imaging flow: every strategy asked for, and its controls.

Every arm leaves its logits on all records in a file. Choices are made on validation rows of it;
test rows are read once, by the evaluation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from domains.errors import InputError
from models.imaging.backbones import Backbone, Classifier
from models.imaging.examples import Examples
from models.imaging.head import fit_head
from models.imaging.scorer import save_net
from models.imaging.strategies import make
from models.imaging.task import Task
from models.imaging.tuning import Tuning, from_scratch, logits
from pipelines.evidence import Role
from pipelines.life.arms import checkpoint, once
from pipelines.progress import say
from pipelines.settings import ImagingConfig
from pipelines.stages import stage
from pipelines.steps.imaging.bases import Base, load_base, random_base
from pipelines.steps.imaging.budget import allowed, left_out
from pipelines.steps.imaging.effort import (
    EFFORTS,
    starts_somewhere,
    strategies,
    trains,
    wants_controls,
)
from pipelines.steps.imaging.prepare import Prepared
from pipelines.tracking import Job

SCRATCH = "from-scratch"
"""Control: the same net, every layer trained from random weights."""


@dataclass(frozen=True)
class Trained:
    """An arm or control.

    Attributes:
        name, role, note: As in the evidence.
        validation: AUROC on validation.
        seconds: Training time.
        logits: `.npy`, (n, k) for every record of the target set.
        net: safetensors of encoder and head; None where there is no net.
        base: Name of the base it starts from; empty where there is none.
        strategy: Name of its strategy; empty where there is none.
        history: Epochs of its training.
    """

    name: str
    role: Role
    note: str
    validation: float
    seconds: float
    logits: Path
    net: Path | None = None
    base: str = ""
    strategy: str = ""
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Attempt:
    """An arm that is to be trained: its name, what it is for, how, and from where."""

    name: str
    role: Role
    strategy: str
    base: Base


@stage(kind="training")
def train_transfer(job: Job, prepared: Prepared, bases: list[Base]) -> list[Trained]:
    """A new head on each frozen base, from features that are computed once."""
    if "transfer" not in strategies(job.config):
        return []
    attempts = [Attempt(f"transfer-{base.name}", "arm", "transfer", base) for base in bases]
    return [_trained(job, prepared, each, tuning_of(job.config, prepared)) for each in attempts]


@stage(kind="training")
def train_finetune(
    job: Job, prepared: Prepared, bases: list[Base], probes: list[Trained]
) -> list[Trained]:
    """The strategies that train the base, from the one whose frozen form did best on validation.

    Where they were not named but left to `auto`, each gets an equal share of the time that is
    left, and one that cannot train in it is left out and said (`pipelines.steps.imaging.budget`).

    Raises:
        InputError: None can, and there is no frozen base either.
    """
    wanted = trains(job.config)
    if not wanted:
        return []
    base = starting_base(job, prepared, bases, probes)
    spent = base.seconds + sum(probe.seconds for probe in probes)
    found: list[Trained] = []
    for place, strategy in enumerate(wanted):
        attempt = Attempt(f"{strategy}-{base.name}", "arm", strategy, base)
        left = job.config.time_budget - spent - sum(each.seconds for each in found)
        waiting = len(wanted) - place + _scratch(job.config)
        found += _within(job, prepared, attempt, left / waiting)
    if not found and not probes:
        raise InputError(f"time_budget: {' '.join(left_out(job))} Nothing else is left; raise it")
    return found


def _scratch(config: ImagingConfig) -> bool:
    """Whether the net trained from random weights stands beside arms that start elsewhere."""
    given = wants_controls(config) and starts_somewhere(config) and bool(trains(config))
    return given and EFFORTS[config.scale].scratch


def _within(job: Job, prepared: Prepared, attempt: Attempt, seconds: float) -> list[Trained]:
    """The arm; under `auto` with as many epochs as fit in so many seconds, or not at all."""
    tuning = tuning_of(job.config, prepared)
    tuning = from_scratch(tuning) if attempt.base.name == "random" else tuning
    if job.config.strategy == "auto":
        net = new_net(load_base(job, prepared, attempt.base), prepared)
        learn = make(attempt.strategy, settings_for(job.config, attempt.strategy))
        examples = examples_of(job, prepared)
        epochs = allowed(job, attempt.name, learn, net, examples, tuning, seconds)
        if not epochs:
            return []
        tuning = replace(tuning, epochs=epochs)
    return [_trained(job, prepared, attempt, tuning)]


def _trained(job: Job, prepared: Prepared, attempt: Attempt, tuning: Tuning) -> Trained:
    return once(job, Trained, attempt.name, lambda: _train(job, prepared, attempt, tuning))


def _train(job: Job, prepared: Prepared, attempt: Attempt, tuning: Tuning) -> Trained:
    """Train an arm, write its net and its logits on all images, and score its validation rows."""
    backbone, examples = load_base(job, prepared, attempt.base), examples_of(job, prepared)
    started, net = time.perf_counter(), new_net(backbone, prepared)
    learn = make(attempt.strategy, settings_for(job.config, attempt.strategy))
    learned = learn(net, examples, tuning, say, checkpoint(job, attempt.name))
    outputs = learned.outputs
    if outputs is None:
        outputs = logits(net, examples.images, np.arange(len(examples.images)))
    folder = job.folder / "arms" / attempt.name
    folder.mkdir(parents=True, exist_ok=True)
    return Trained(
        name=attempt.name,
        role=attempt.role,
        note=f"{attempt.base.note}{', ' if learned.outputs is not None else '; '}{learned.what}",
        validation=_score(examples, outputs, attempt.name),
        seconds=time.perf_counter() - started + learned.history.earlier,
        logits=_save(folder, outputs),
        net=save_net(net, folder / "net.safetensors"),
        base=attempt.base.name,
        strategy=attempt.strategy,
        history=learned.history.history,
    )


def new_net(backbone: Backbone, prepared: Prepared) -> Classifier:
    """A base under a head of zeros for the target's classes or labels."""
    return Classifier(backbone, len(prepared.target.classes))


def _save(folder: Path, outputs: np.ndarray) -> Path:
    np.save(folder / "logits.npy", outputs)
    return folder / "logits.npy"


def _score(examples: Examples, outputs: np.ndarray, name: str) -> float:
    rows = examples.validation
    score = Task.of(examples.targets, examples.train).score(outputs[rows], rows)
    say(f"{name}: AUROC {score:.3f} on validation")
    return score


def examples_of(job: Job, prepared: Prepared) -> Examples:
    """The target's images and labels, to train on and to choose by."""
    target = prepared.target
    rows = (target.rows("train"), target.rows("validation"))
    return Examples(target.images(), target.labels(), *rows, job.folder / "features")


def settings_for(config: ImagingConfig, strategy: str) -> dict[str, float]:
    """What a strategy alone takes: the file's settings, over those of the scale."""
    blocks = EFFORTS[config.scale].blocks
    own = {"blocks": float(blocks)} if strategy == "partial" and blocks else {}
    return own | config.strategy_settings.get(strategy, {})


def tuning_of(config: ImagingConfig, prepared: Prepared) -> Tuning:
    """How a net is trained: the file's keys, over those of the scale."""
    effort = EFFORTS[config.scale]
    return Tuning(
        epochs=config.epochs or effort.epochs,
        patience=config.patience or effort.patience,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        average=config.average,
        precision=config.precision,
        silhouettes=prepared.silhouettes,
        seed=config.seed,
    )


def positive(p: np.ndarray) -> np.ndarray:
    """Probabilities as metrics take them: (n,) of the last class of two, (n, k) of more."""
    return p[:, 1] if p.shape[1] == 2 else p


def starting_base(job: Job, prepared: Prepared, bases: list[Base], probes: list[Trained]) -> Base:
    """The base that training starts from."""
    if probes:
        best = max(probes, key=lambda probe: probe.validation)
        return next(base for base in bases if base.name == best.base)
    return bases[-1] if bases else random_base(job, prepared)


@stage(kind="training")
def train_controls(job: Job, prepared: Prepared) -> list[Trained]:
    """What the arms are measured against: bases that learned nothing, and size alone.

    A frozen base of random weights stands beside transfer; where an arm trains its base, the same
    net trained from random weights stands beside it.
    """
    config: ImagingConfig = job.config
    if not wants_controls(config):
        return []
    base = random_base(job, prepared)
    frozen = Attempt("random-weights", "control", "transfer", base)
    found = [_trained(job, prepared, frozen, tuning_of(config, prepared))]
    if _scratch(config):
        scratch = Attempt(SCRATCH, "control", "finetune", base)
        found += _within(job, prepared, scratch, config.time_budget / (1 + len(trains(config))))
    sizes = prepared.target.sizes()
    if sizes is not None:
        found.append(once(job, Trained, "size-features", lambda: _size(job, prepared, sizes)))
    return found


def _size(job: Job, prepared: Prepared, sizes: np.ndarray) -> Trained:
    started, values, examples = time.perf_counter(), np.log1p(sizes), examples_of(job, prepared)
    rows = (examples.train, examples.validation)
    head = fit_head(values, examples.targets, *rows, len(prepared.target.classes))
    outputs = head.logits(values)
    folder = job.folder / "arms" / "size-features"
    folder.mkdir(parents=True, exist_ok=True)
    return Trained(
        name="size-features",
        role="control",
        note=f"{values.shape[1]} size features of the nodule in a logistic regression, no image",
        validation=_score(examples, outputs, "size-features"),
        seconds=time.perf_counter() - started,
        logits=_save(folder, outputs),
    )
