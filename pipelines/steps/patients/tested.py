"""Test records, and what every model says of them: read once, when all choices are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.few import FEWEST, patients_in
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.scores import Comparison, Score, compare, judged, scores
from domains.healthcare.outcomes.targets import known
from domains.healthcare.patients import Cohort
from domains.metrics import named
from domains.survival import kaplan_meier
from models.multitask.calibrating import Calibrator
from models.multitask.scorer import PatientsScorer, curves, load_scorer, predictions
from pipelines.steps.patients.prepare import EFFORTS, EXTERNAL, Prepared
from pipelines.steps.patients.training import Trained, answered, calibrators
from pipelines.tracking import Job

ITSELF, UNCALIBRATED, MARGINAL = "shared itself", "uncalibrated", "Kaplan-Meier"


@dataclass(frozen=True)
class Tested:
    """Predictions of every model on one part, beside the records' targets.

    Attributes:
        cohort: The records, without features.
        codecs: By outcome.
        frames: Model → predicted columns, the packed model first; under `UNCALIBRATED` the
            packed model's before calibration.
        comparison: The packed model and its controls by name; under `ITSELF` the network that all
            outcomes share, without those that answer `alone` in its place; under `MARGINAL` the
            same survival curve for everyone, that of these records themselves.
        repeats: Resamples of patients that intervals come from.
        seed: Of the resampling.
        alone: Outcomes that another model answers → which.
        calibrators: Of the packed model.
        public: Whether few of the records may be counted.
    """

    cohort: Cohort
    codecs: dict[str, Codec]
    frames: dict[str, pd.DataFrame]
    comparison: Comparison
    repeats: int
    seed: int
    alone: Mapping[str, str] = field(default_factory=dict)
    calibrators: Mapping[str, Calibrator] = field(default_factory=dict)
    public: bool = True

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

    def binary(self) -> list[str]:
        """Yes-or-no outcomes of which these records hold both: of private ones, of five patients
        each, for the steps of a curve can be counted."""
        kinds = {name: codec.outcome.kind for name, codec in self.codecs.items()}
        return [name for name, kind in kinds.items() if kind == "binary" and self._both(name)]

    def _both(self, name: str) -> bool:
        (y, _), patients = self.labelled(name), self.patients(name)
        least = 1 if self.public else FEWEST
        return all(patients_in(patients[y == label]) >= least for label in (0, 1))

    def labelled(self, name: str, model: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Targets and a model's predictions of one outcome, where it is known."""
        frame = self.frames[model or self.model]
        y, p = judged(self.codecs[name], self.cohort.targets.values[name], frame)
        return y[known(y)], p[known(y)]

    def patients(self, name: str) -> np.ndarray:
        """Patients of the records where an outcome is known."""
        return self.cohort.patients[known(self.cohort.targets.values[name])]


def read_test(
    job: Job, prepared: Prepared, package: Path, trained: Sequence[Trained], part: str
) -> Tested:
    """Answers of the packed model, as it will be served, and of every control, on one part.

    Where nothing answers in the network's place, its own numbers are the packed model's.
    """
    scorer: PatientsScorer = load_scorer(package)
    cohort, codecs = prepared.bare(part), scorer.codecs
    model, *controls = trained
    outputs = {model.name: answered(prepared, part, scorer.logits)}
    outputs |= {control.name: control.read(part, codecs) for control in controls}
    fitted = {model.name: scorer.calibrators}
    fitted |= {control.name: calibrators(job, prepared, control) for control in controls}
    frames = {name: predictions(codecs, said, fitted[name]) for name, said in outputs.items()}
    models = {
        name: scores(codecs, cohort.targets, frame, curves(codecs, outputs[name], fitted[name]))
        for name, frame in frames.items()
    }
    alone = dict(scorer.alone)
    if alone:
        chosen, own = {name: codecs[name] for name in alone}, model.read(part, codecs)
        its = calibrators(job, prepared, model)
        frame = predictions(chosen, own, its)
        models[ITSELF] = scores(chosen, cohort.targets, frame, curves(chosen, own, its))
    models[MARGINAL] = _marginal(codecs, cohort, frames[model.name])
    repeats, seed = EFFORTS[job.config.scale].repeats, job.config.seed + (part == EXTERNAL)
    found = compare(models, cohort.patients, repeats, seed).completed(ITSELF, model.name)
    frames[UNCALIBRATED] = predictions(codecs, outputs[model.name], {})
    public = prepared.dataset.public
    return Tested(cohort, codecs, frames, found, repeats, seed, alone, scorer.calibrators, public)


def _marginal(codecs: Mapping[str, Codec], cohort: Cohort, frame: pd.DataFrame) -> dict[str, Score]:
    """What one curve for everyone reaches by the integrated Brier score."""
    kept = {name: codec for name, codec in codecs.items() if codec.outcome.kind == "survival"}
    flat = {}
    for name, codec in kept.items():
        y = cohort.targets.values[name]
        curve = kaplan_meier(y[known(y)], codec.grid)
        flat[name] = np.tile(curve, (len(cohort), 1))
    found = scores(kept, cohort.targets, frame, flat)
    return {key: score for key, score in found.items() if key.endswith(".ibs")}
