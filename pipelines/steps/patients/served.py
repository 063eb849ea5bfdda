"""What is served: the shared network, but where an outcome is better off with one of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_scores import Score, scores
from models.multitask.patched import Patched
from models.multitask.scorer import PatientsScorer, load_scorer, predictions
from pipelines.progress import say
from pipelines.settings import PatientsConfig
from pipelines.stages import stage
from pipelines.steps.patients.prepare import Prepared
from pipelines.steps.patients.training import Trained, calibrators
from pipelines.tracking import Job

SINGLE = "single-task"
DECIDED_ON = ("validation", "calibration")


@stage()
def calibrate(job: Job, prepared: Prepared, model: Trained, controls: Sequence[Trained]) -> Path:
    """Calibrate every outcome on the calibration records; returns the packed model.

    An outcome that the shared network answers worse than its single-task network does, by more
    than the configuration's `worse`, is packed with that one. Test records have no say.
    """
    config: PatientsConfig = job.config
    scorer: PatientsScorer = load_scorer(job.folder / model.name)
    found = calibrators(job, prepared, model)
    single = next((each for each in controls if each.name == SINGLE), None)
    losing = () if single is None else worse(prepared, model, single, config.worse)
    if single is not None and losing:
        own = calibrators(job, prepared, single)
        found |= {name: own[name] for name in losing if name in own}
        scorer = _patched(scorer, load_scorer(job.folder / SINGLE), losing)
        say(f"served by networks of their own: {', '.join(losing)}")
    return replace(scorer, calibrators=found).save(job.folder / "package")


def worse(prepared: Prepared, model: Trained, single: Trained, margin: float) -> tuple[str, ...]:
    """Outcomes that one network answers worse than its own, by more than a margin of its metric.

    Judged on validation and calibration records together: both networks stopped by the first, and
    neither has seen the others.
    """
    _, codecs = prepared.read_rules()
    mine, own = (_judged(prepared, each, codecs) for each in (model, single))
    keys = {f"{name}.{codec.outcome.metric}": name for name, codec in codecs.items()}
    return tuple(
        name
        for key, name in keys.items()
        if key in mine and mine[key](None) < own[key](None) - margin
    )


def _judged(prepared: Prepared, trained: Trained, codecs: Mapping[str, Codec]) -> dict[str, Score]:
    first, second = (prepared.read(part) for part in DECIDED_ON)
    parts = [trained.read(part, codecs) for part in DECIDED_ON]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in codecs}
    return scores(codecs, first.joined(second).targets, predictions(codecs, outputs, {}))


def _patched(
    scorer: PatientsScorer, single: PatientsScorer, names: tuple[str, ...]
) -> PatientsScorer:
    patched = Patched(scorer.shape, scorer.network, names)
    patched.take(single.network)
    return replace(scorer, network=patched.eval(), alone=names)
