"""Test records, and what every model says of them: read once, when all choices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_scores import Comparison, compare, scores
from domains.healthcare.patients import Cohort
from domains.metrics import named
from models.multitask.scorer import PatientsScorer, load_scorer, predictions
from pipelines.steps.patients.prepare import EFFORTS, Prepared
from pipelines.steps.patients.training import Trained, temperatures
from pipelines.tracking import Job

ITSELF, UNCALIBRATED = "shared itself", "uncalibrated"


@dataclass(frozen=True)
class Tested:
    """Predictions of every model on one part, beside the records' targets.

    Attributes:
        cohort: The records.
        codecs: By outcome.
        frames: Model → predicted columns, the packed model first; under `UNCALIBRATED` the
            network's own answers before calibration.
        comparison: The packed model and its controls by name; under `ITSELF` the network that all
            outcomes share, without those that answer `alone` in its place.
        alone: Outcomes that another model answers.
    """

    cohort: Cohort
    codecs: dict[str, Codec]
    frames: dict[str, pd.DataFrame]
    comparison: Comparison
    alone: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """Name of the packed model."""
        return next(iter(self.frames))

    def metrics(self, name: str) -> dict[str, float]:
        """Every metric of a model with its interval; `mean` leads."""
        found: dict[str, float] = {}
        for key in self.comparison.keys(name):
            found |= named(key, self.comparison.interval(name, key))
        return {key: value for key, value in found.items() if np.isfinite(value)}


def read_test(
    job: Job, prepared: Prepared, package: Path, trained: Sequence[Trained], part: str
) -> Tested:
    """Answers of the packed model, as it will be served, and of every control, on one part.

    Where nothing answers in the network's place, its own numbers are the packed model's.
    """
    scorer: PatientsScorer = load_scorer(package)
    cohort, codecs = prepared.read(part), scorer.codecs
    model, *controls = trained
    frames = {model.name: scorer.predict(cohort.features)}
    for control in controls:
        answers = control.read(part, codecs)
        frames[control.name] = predictions(codecs, answers, temperatures(prepared, control))
    models = {name: scores(codecs, cohort.targets, frame) for name, frame in frames.items()}
    alone, logits = tuple(scorer.alone), model.read(part, codecs)
    if alone:
        own = predictions(codecs, logits, temperatures(prepared, model))
        models[ITSELF] = scores({name: codecs[name] for name in alone}, cohort.targets, own)
    effort = EFFORTS[job.config.scale]
    found = compare(models, cohort.patients, effort.repeats, job.config.seed)
    frames[UNCALIBRATED] = predictions(codecs, logits, {})
    return Tested(cohort, codecs, frames, found.completed(ITSELF, model.name), alone)
