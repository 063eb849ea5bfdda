"""Training stages of the imaging flow: transfer, fine-tuning, controls.

Every arm leaves its logits on all records in a file. Choices are made on validation rows of it;
test rows are read once, by the evaluation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from domains.metrics import auroc
from models.calibration import probabilities
from models.imaging.backbones import Classifier
from models.imaging.finetune import Tuning, finetune, from_scratch, logits
from models.imaging.scorer import save_net
from models.imaging.transfer import Head, features, fit_head
from pipelines.evidence import Role
from pipelines.life.arms import checkpoint, once
from pipelines.progress import say
from pipelines.settings import ImagingConfig
from pipelines.stages import stage
from pipelines.steps.imaging.bases import Base, load_base, random_base
from pipelines.steps.imaging.prepare import EFFORTS, Prepared, strategies, wants_controls
from pipelines.tracking import Job


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
    history: list[dict[str, float]] = field(default_factory=list)


@stage(kind="training")
def train_transfer(job: Job, prepared: Prepared, bases: list[Base]) -> list[Trained]:
    """A new head on each frozen base, from features that are computed once."""
    if "transfer" not in strategies(job.config):
        return []
    return [_probe(job, prepared, f"transfer-{base.name}", "arm", base) for base in bases]


def _probe(job: Job, prepared: Prepared, name: str, role: Role, base: Base) -> Trained:
    return once(job, Trained, name, lambda: _new_probe(job, prepared, name, role, base))


def _new_probe(job: Job, prepared: Prepared, name: str, role: Role, base: Base) -> Trained:
    backbone = load_base(job, prepared, base)
    started = time.perf_counter()
    values = features(backbone, prepared.target.images(), job.folder / "features")
    head = _fit(prepared, values)
    net = Classifier(backbone, len(prepared.target.classes))
    _set_head(net, head)
    note = f"{base.note}, frozen; new head, L2 penalty {head.penalty:g} chosen on validation"
    return _trained(
        job, prepared, name, role, note, head.logits(values), started, net=net, base=base.name
    )


def _fit(prepared: Prepared, values: np.ndarray) -> Head:
    target = prepared.target
    train, validation = target.rows("train"), target.rows("validation")
    return fit_head(values, target.labels(), train, validation, len(target.classes))


def _set_head(net: Classifier, head: Head) -> None:
    with torch.no_grad():
        net.head.weight.copy_(torch.from_numpy(head.weight))
        net.head.bias.copy_(torch.from_numpy(head.bias))


def _trained(
    job: Job,
    prepared: Prepared,
    name: str,
    role: Role,
    note: str,
    outputs: np.ndarray,
    started: float,
    net: Classifier | None = None,
    base: str = "",
    history: list[dict[str, float]] | None = None,
) -> Trained:
    """Write an arm's logits and net, and score its validation rows."""
    folder = job.folder / "arms" / name
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "logits.npy", outputs)
    rows = prepared.target.rows("validation")
    score = auroc(prepared.target.labels()[rows], positive(probabilities(outputs[rows])))
    seconds = time.perf_counter() - started
    say(f"{name}: AUROC {score:.3f} on validation, {seconds:.1f} s")
    file = None if net is None else save_net(net, folder / "net.safetensors")
    return Trained(
        name, role, note, score, seconds, folder / "logits.npy", file, base, history or []
    )


def positive(p: np.ndarray) -> np.ndarray:
    """Probabilities as metrics take them: (n,) of the last class of two, (n, k) of more."""
    return p[:, 1] if p.shape[1] == 2 else p


@stage(kind="training")
def train_finetune(
    job: Job, prepared: Prepared, bases: list[Base], probes: list[Trained]
) -> list[Trained]:
    """Fine-tune the base whose frozen form did best on validation, under a new head."""
    config: ImagingConfig = job.config
    if "finetune" not in strategies(config):
        return []
    base = _start(job, prepared, bases, probes)
    name = f"finetune-{base.name}"
    return [once(job, Trained, name, lambda: _finetune(job, prepared, name, base))]


def _finetune(job: Job, prepared: Prepared, name: str, base: Base) -> Trained:
    started, target = time.perf_counter(), prepared.target
    net = Classifier(load_base(job, prepared, base), len(target.classes))
    tuning = _tuning(job.config, prepared, base)
    train, rows = target.rows("train"), target.rows("validation")
    kept = checkpoint(job, name)
    fitted = finetune(net, target.images(), target.labels(), train, rows, tuning, say, kept)
    started -= fitted.earlier
    outputs = logits(net, target.images(), np.arange(target.dataset.rows))
    k = tuning.last_blocks
    which = "all layers" if k is None else f"the last {k} blocks"
    note = f"{base.note}; {which} trained on, best of {fitted.epochs} epochs: {fitted.best_epoch}"
    return _trained(
        job,
        prepared,
        name,
        "arm",
        note,
        outputs,
        started,
        net=net,
        base=base.name,
        history=fitted.history,
    )


def _tuning(config: ImagingConfig, prepared: Prepared, base: Base) -> Tuning:
    effort = EFFORTS[config.scale]
    tuning = Tuning(
        epochs=config.epochs or effort.epochs,
        patience=effort.patience,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        last_blocks=config.finetune_blocks or effort.blocks,
        silhouettes=prepared.silhouettes,
        seed=config.seed,
    )
    return from_scratch(tuning) if base.name == "random" else tuning


def _start(job: Job, prepared: Prepared, bases: list[Base], probes: list[Trained]) -> Base:
    """The base that fine-tuning starts from."""
    if probes:
        best = max(probes, key=lambda probe: probe.validation)
        return next(base for base in bases if base.name == best.base)
    return bases[-1] if bases else random_base(job, prepared)


@stage(kind="training")
def train_controls(job: Job, prepared: Prepared) -> list[Trained]:
    """What the arms are measured against: a base that learned nothing, and size alone."""
    if not wants_controls(job.config):
        return []
    base = random_base(job, prepared)
    found = [_probe(job, prepared, "random-weights", "control", base)]
    sizes = prepared.target.sizes()
    if sizes is not None:
        found.append(once(job, Trained, "size-features", lambda: _size(job, prepared, sizes)))
    return found


def _size(job: Job, prepared: Prepared, sizes: np.ndarray) -> Trained:
    started, values = time.perf_counter(), np.log1p(sizes)
    outputs = _fit(prepared, values).logits(values)
    note = f"{values.shape[1]} size features of the nodule in a logistic regression, no image"
    return _trained(job, prepared, "size-features", "control", note, outputs, started)
