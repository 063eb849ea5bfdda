"""Training stages of the patients flow: the model, its controls, its calibration."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from domains.healthcare.cohort.features import Encoder
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.patients import Cohort
from models.multitask.boosted import Boosted, save_boosted
from models.multitask.boosting import boost, boost_until_best
from models.multitask.calibrating import Calibrator, fit_calibrators
from models.multitask.grouping import proposed
from models.multitask.learning import Recipe, train
from models.multitask.masked import Records
from models.multitask.named import told
from models.multitask.patched import BOOSTING, SINGLE
from models.multitask.scorer import PatientsScorer
from pipelines.evidence import Role
from pipelines.life.arms import checkpoint, once
from pipelines.progress import say
from pipelines.settings import PatientsConfig
from pipelines.stages import stage
from pipelines.steps.patients.inputs import inputs
from pipelines.steps.patients.prepare import (
    EFFORTS,
    EXTERNAL,
    Prepared,
    boosted_every,
    wants_controls,
)
from pipelines.tracking import Job

ANSWERED = ("validation", "calibration", "test", EXTERNAL)
DECIDED_ON = ("validation", "calibration")

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Trained:
    """A trained model or control: its logits on every answered part are a safetensors file.

    `cosines` is the `.npy` file of `angles`; None where outcomes share nothing. `unseen` are
    answers on validation and calibration records by what trained on neither; None where `logits`
    are such.
    """

    name: str
    role: Role
    note: str
    seconds: float
    logits: Path
    history: list[dict[str, float]] = field(default_factory=list)
    cosines: Path | None = None
    unseen: Path | None = None

    def angles(self) -> np.ndarray:
        """Cosines between the outcomes' gradients after some epochs, (epochs, m, m) float32."""
        return np.zeros((0, 0, 0)) if self.cosines is None else np.load(self.cosines)

    def read(self, part: str, outcomes: Mapping[str, Codec]) -> dict[str, np.ndarray]:
        """Logits of one part by outcome, (n, size)."""
        return _stored(self.logits, part, outcomes)

    def read_unseen(self, part: str, outcomes: Mapping[str, Codec]) -> dict[str, np.ndarray]:
        """Logits of a part of `DECIDED_ON`, by what did not train on it."""
        return _stored(self.unseen or self.logits, part, outcomes)


def _stored(path: Path, part: str, outcomes: Mapping[str, Codec]) -> dict[str, np.ndarray]:
    stored = load_file(path)
    return {name: stored[f"{part}/{name}"] for name in outcomes}


@stage(kind="training")
def train_model(job: Job, prepared: Prepared) -> Trained:
    """Train the configured network on all outcomes and pack it, not yet calibrated."""
    config: PatientsConfig = job.config
    name = SINGLE if config.sharing == "none" else "shared"
    note = f"{told(config.sharing)}; losses balanced: {config.balancing}"
    return _network(job, prepared, name, "arm", config.sharing, note, config.grouped)


@stage(kind="training")
def train_controls(job: Job, prepared: Prepared, model: Trained) -> list[Trained]:
    """Single-task networks of the same size, boosted trees, one an outcome, and proposed groups."""
    config: PatientsConfig = job.config
    if not wants_controls(config, prepared.dataset.public):
        return []
    found = _grouped(job, prepared, model)
    if config.sharing != "none":
        note = "one network of the same size an outcome, each stopped at its own best epoch"
        found.append(_network(job, prepared, SINGLE, "control", "none", note))
    boosting = once(job, Trained, BOOSTING, lambda: _boosting(job, prepared))
    return [*found, boosting]


def _grouped(job: Job, prepared: Prepared, model: Trained) -> list[Trained]:
    """A trunk a group of outcomes whose gradients agree, where they do not all agree."""
    angles = model.angles()
    names = list(prepared.read_rules()[1])
    groups = proposed(angles.mean(axis=0), names) if len(angles) else ()
    if len(groups) < 2:
        return []
    note = f"hard sharing within {' | '.join(' + '.join(group) for group in groups)}"
    return [_network(job, prepared, "grouped", "control", "groups", note, groups)]


def _network(
    job: Job,
    prepared: Prepared,
    name: str,
    role: Role,
    sharing: str,
    note: str,
    groups: Groups = (),
) -> Trained:
    make = partial(_new_network, job, prepared, name, role, sharing, note, groups)
    return once(job, Trained, name, make)


def _new_network(
    job: Job, prepared: Prepared, name: str, role: Role, sharing: str, note: str, groups: Groups
) -> Trained:
    config: PatientsConfig = job.config
    effort = EFFORTS[config.scale]
    recipe = Recipe(
        sharing,
        config.hidden,
        config.epochs or effort.epochs,
        effort.patience,
        config.seed,
        balancing=config.balancing if role == "arm" else "equal",
        trunk=config.trunk,
        members=config.members or effort.members,
        settings=config.sharing_settings if role == "arm" else {},
        groups=groups,
    )
    encoder, codecs = prepared.read_rules()
    training, validation = (
        inputs(prepared, part, encoder, codecs) for part in ("train", "validation")
    )
    started = time.process_time()
    kept = checkpoint(job, name)
    learned = train(recipe, codecs, training, validation, checkpoint=kept)
    histories = learned.histories
    earlier = sum(history.earlier for history in histories)
    seconds = time.process_time() - started + earlier
    made, known = (encoder, codecs, learned.network, sharing, learned.shape), prepared.known
    scorer = PatientsScorer(*made, known=known)
    scorer.save(job.folder / name)
    epochs = ", ".join(str(history.best_epoch) for history in histories)
    say(f"{name}: {seconds:.1f} CPU s, best epoch {epochs}")
    path = job.folder / f"{name}.logits"
    answers = _answer(prepared, path, scorer.logits)
    merged = _merged([history.history for history in histories], list(codecs))
    return Trained(name, role, note, seconds, answers, merged, _kept(job, name, learned.cosines))


def _kept(job: Job, name: str, cosines: np.ndarray) -> Path | None:
    if not len(cosines):
        return None
    path = job.folder / f"{name}.cosines.npy"
    np.save(path, cosines)
    return path


def _merged(histories: list[list[dict[str, float]]], names: list[str]) -> list[dict[str, float]]:
    """One curve for one network; for several, each outcome's or group's under a name."""
    if len(histories) == 1:
        return histories[0]
    longest = max(len(history) for history in histories)
    merged: list[dict[str, float]] = [{"epoch": epoch + 1} for epoch in range(longest)]
    for name, history in zip(names, histories, strict=False):
        for point, row in zip(history, merged, strict=False):
            row.update({f"{name}.{k}": v for k, v in point.items() if k != "epoch"})
    return merged


def _boosting(job: Job, prepared: Prepared) -> Trained:
    """Twins that train on training records alone say how many rounds each outcome bears, by their
    loss on validation records; as many are grown on both.

    What serves an outcome is chosen on validation and calibration records together, and there
    boosting is judged by the twins: like the networks they stopped by the first.
    """
    encoder, codecs = prepared.read_rules()
    every = boosted_every(prepared.split)
    train, validation = (prepared.read(part, every) for part in ("train", "validation"))
    started = time.process_time()
    learned, stopping = (_ordinal(cohort, encoder, codecs) for cohort in (train, validation))
    both = _ordinal(train.joined(validation), encoder, codecs)
    how: dict[str, Any] = {"categorical": encoder.categorical, "seed": job.config.seed}
    most = EFFORTS[job.config.scale].rounds
    twins = {
        name: boost_until_best(codec, learned[name], stopping[name], most=most, **how)
        for name, codec in codecs.items()
    }
    models = {
        name: boost(codec, *both[name], rounds=twins[name].rounds, **how)
        for name, codec in codecs.items()
    }
    seconds = time.process_time() - started
    (job.folder / BOOSTING).mkdir(exist_ok=True)
    save_boosted(models, job.folder / BOOSTING)
    grown = ", ".join(str(model.rounds) for model in models.values())
    say(f"{BOOSTING}: {seconds:.1f} CPU s, rounds {grown}")

    def of(trees: Mapping[str, Boosted], features: pd.DataFrame) -> dict[str, np.ndarray]:
        x = encoder.ordinal(features)
        return {name: model.logits(x) for name, model in trees.items()}

    answers = _answer(prepared, job.folder / f"{BOOSTING}.logits", partial(of, models))
    unseen = _answer(prepared, job.folder / f"{BOOSTING}.unseen", partial(of, twins), DECIDED_ON)
    note = (
        "scikit-learn's HistGradientBoosting, one an outcome, default settings but for the number "
        f"of rounds ({grown}), by loss on validation records; trained on those too, then"
    )
    if every > 1:
        note += f"; on one in {every} records of both"
    return Trained(BOOSTING, "control", note, seconds, answers, unseen=unseen)


def _ordinal(
    cohort: Cohort, encoder: Encoder, codecs: Mapping[str, Codec]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By outcome what trees take: (n, features), and encoded targets."""
    x = encoder.ordinal(cohort.features)
    return {name: (x, c.encode(cohort.targets.values[name])) for name, c in codecs.items()}


def encoded(cohort: Cohort, encoder: Encoder, codecs: Mapping[str, Codec]) -> Records:
    """Records as a network takes them."""
    targets = {name: codec.encode(cohort.targets.values[name]) for name, codec in codecs.items()}
    return Records(encoder.encode(cohort.features), targets, encoder.numbers)


def _answer(
    prepared: Prepared,
    path: Path,
    logits: Callable[[pd.DataFrame], dict[str, np.ndarray]],
    parts: Sequence[str] = ANSWERED,
) -> Path:
    """Write down the logits of those parts that there are, so many records at a time."""
    found = {}
    for part in (part for part in parts if part in prepared.split):
        for outcome, values in answered(prepared, part, logits).items():
            found[f"{part}/{outcome}"] = values
    save_file(found, path)
    return path


def answered(
    prepared: Prepared, part: str, logits: Callable[[pd.DataFrame], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Logits of one part by outcome, (n, size), made of so many records at a time."""
    answers = [logits(piece) for piece in prepared.pieces(part) if len(piece)]
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def calibrators(job: Job, prepared: Prepared, model: Trained) -> dict[str, Calibrator]:
    """Calibration of a model or control from its own answers on the calibration records."""
    _, codecs = prepared.read_rules()
    cohort = prepared.bare("calibration")
    targets = {name: codec.encode(cohort.targets.values[name]) for name, codec in codecs.items()}
    outputs, coverage = model.read("calibration", codecs), job.config.coverage
    return fit_calibrators(codecs, outputs, targets, cohort.patients, coverage)
