"""Bases of the imaging flow: weights to start from, given or trained on a source task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from domains.healthcare.images.set import ImageSet
from domains.healthcare.images.split import EXCLUDED
from domains.sources import fetch
from models.imaging.backbones import Backbone, Classifier, build, settle
from models.imaging.examples import Examples
from models.imaging.features import to_batch
from models.imaging.strategies import make
from models.imaging.tuning import Tuning, from_scratch
from models.imaging.weights import load_imagenet, load_weights
from models.training import FitHistory
from pipelines.life.arms import checkpoint, once
from pipelines.progress import say
from pipelines.settings import ImagingConfig
from pipelines.stages import stage
from pipelines.steps.imaging.base_models import registered, take
from pipelines.steps.imaging.budget import shortened
from pipelines.steps.imaging.effort import EFFORTS, pretrained
from pipelines.steps.imaging.prepare import Prepared
from pipelines.tracking import Job

SHARE = 0.5
"""Of the time budget of `auto`: what training on the source task may take."""

_SETTLING = 512
SAYS = {
    "imagenet": "ImageNet weights",
    "base": "the registered base",
    "weights": "the weights file",
    "source": "the base trained on the source task",
    "random": "random weights",
}


@dataclass(frozen=True)
class Base:
    """An encoder's weights in a file, and how they came to be.

    Attributes:
        name: `imagenet`, `base` (a registered one), `weights` (a file), `source` or `random`.
        file: safetensors of the encoder.
        note: How it was made, for a reader.
        seconds: Training time.
        trials: Of a source base, the score on source validation by what it started from.
        history: Epochs of its training.
    """

    name: str
    file: Path
    note: str
    seconds: float = 0.0
    trials: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


@stage(kind="training")
def find_bases(job: Job, prepared: Prepared) -> list[Base]:
    """Weights to start from: a file's or ImageNet's, and those trained on the source task."""
    config: ImagingConfig = job.config
    bases = []
    name = pretrained(config)
    if name is not None:
        note = SAYS[name]
        if config.base is not None:
            note = take(job, prepared, registered(config.base, config.backbone))
        bases.append(
            _save_base(job, name, _pretrained(config, prepared.size, prepared.target), note)
        )
    if source := prepared.source:
        bases.append(once(job, Base, "base-source", lambda: _source_base(job, prepared, source)))
    return bases


def _pretrained(config: ImagingConfig, size: int, data: ImageSet) -> Backbone:
    backbone = build(config.backbone, size, channels=channels(data))
    if config.base is not None:
        return load_weights(backbone, registered(config.base, config.backbone).weights)
    if config.weights is not None:
        return load_weights(backbone, config.weights)
    return load_imagenet(backbone, fetch(config.backbone, progress=say))


def channels(data: ImageSet) -> int:
    """Channels of a set's images, which its reader has stated."""
    return int(data.images().shape[3])


def _random(config: ImagingConfig, size: int, data: ImageSet, rows: np.ndarray) -> Backbone:
    """Random weights whose BatchNorm statistics have seen some training images."""
    backbone = build(config.backbone, size, config.seed, channels(data))
    some = np.sort(np.random.default_rng(config.seed).permutation(rows)[:_SETTLING])
    images, batches = data.images(), min(4, max(len(some) // 2, 1))  # one image has no spread
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # connections are dropped while the statistics settle
        return settle(backbone, [to_batch(images[part]) for part in np.array_split(some, batches)])


def _save_base(job: Job, name: str, backbone: Backbone, note: str) -> Base:
    folder = job.folder / "bases"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.safetensors"
    save_file({n: t.contiguous() for n, t in backbone.state_dict().items()}, file)
    return Base(name, file, note)


def _source_base(job: Job, prepared: Prepared, source: ImageSet) -> Base:
    """Train on the source task; from several starts, the better on source validation is kept."""
    config: ImagingConfig = job.config
    parts = source.records()["part"].to_numpy()
    train = np.flatnonzero((parts != "validation") & (parts != EXCLUDED))
    trials: dict[str, tuple[Backbone, FitHistory]] = {}
    for start in EFFORTS[config.scale].source_starts:
        given = None if start == "scratch" else pretrained(config)
        name = given or "random"
        if name not in trials:
            say(f"source task on {len(train)} images, from {SAYS[name]}")
            backbone = (
                _pretrained(config, prepared.size, source)
                if given
                else _random(config, prepared.size, source, train)
            )
            trials[name] = backbone, _train_source(job, prepared, source, backbone, train, name)
    best = max(trials, key=lambda name: trials[name][1].best)
    backbone, fitted = trials[best]
    base = _save_base(job, "source", backbone, f"trained on the source task from {SAYS[best]}")
    scores = {SAYS[name]: trial[1].best for name, trial in trials.items()}
    seconds = sum(trial[1].seconds for trial in trials.values())
    return Base("source", base.file, base.note, seconds, scores, fitted.history)


def _train_source(
    job: Job,
    prepared: Prepared,
    source: ImageSet,
    backbone: Backbone,
    train: np.ndarray,
    start: str,
) -> FitHistory:
    config: ImagingConfig = job.config
    effort, scratch = EFFORTS[config.scale], start == "random"
    net = Classifier(backbone, len(source.classes or source.targets))
    tuning = Tuning(
        epochs=effort.source_epochs,
        patience=effort.source_epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate * (2.0 if scratch else 0.5),
        base_rate=1.0,
        average=config.average,
        precision=config.precision,
        silhouettes=prepared.silhouettes,
        seed=config.seed,
    )
    tuning = from_scratch(tuning) if scratch else tuning
    few = None if scratch else effort.blocks
    learn = make("partial", {"blocks": few}) if few else make("finetune")
    examples = Examples(source.images(), source.labels(), train, source.rows("validation"))
    if config.strategy == "auto":
        name = f"The source task from {SAYS[start]}"
        seconds = SHARE * config.time_budget / len(effort.source_starts)
        epochs = shortened(job, name, learn, net, examples, tuning, seconds)
        tuning = replace(tuning, epochs=epochs, patience=epochs)
    return learn(net, examples, tuning, say, checkpoint(job, f"source-from-{start}")).history


def load_base(job: Job, prepared: Prepared, base: Base) -> Backbone:
    """The encoder of a base, in eval mode, with a stem for the target's images."""
    backbone = build(job.config.backbone, prepared.size, channels=channels(prepared.target))
    return load_weights(backbone, base.file)


def random_base(job: Job, prepared: Prepared) -> Base:
    """A base that has learned nothing; one a job."""
    target = prepared.target

    def make() -> Base:
        backbone = _random(job.config, prepared.size, target, target.rows("train"))
        return _save_base(job, "random", backbone, SAYS["random"])

    return once(job, Base, "base-random", make)
