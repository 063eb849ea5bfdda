"""What is served: the shared network, but where an outcome is better off with one of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.scores import Score, compare, scores
from domains.healthcare.outcomes.targets import Targets, known
from models.multitask.boosted import load_boosted
from models.multitask.patched import BOOSTING, SINGLE, Patched
from models.multitask.scorer import PatientsScorer, load_scorer, predictions, served_by
from pipelines.governance.gate import load_rules
from pipelines.progress import say
from pipelines.settings import PatientsConfig
from pipelines.stages import stage
from pipelines.steps.patients.choosing import SHARED, Choice, choose
from pipelines.steps.patients.prepare import EFFORTS, Prepared
from pipelines.steps.patients.training import DECIDED_ON, Trained, calibrators
from pipelines.tracking import Job


@dataclass(frozen=True)
class Served:
    """The packed model, and why each outcome is answered by what.

    Attributes:
        package: Folder, see `models.multitask.scorer`.
        choices: Of every outcome; none where nothing was trained that could be chosen.
        records: How many the choices were made on.
    """

    package: Path
    choices: tuple[Choice, ...] = ()
    records: int = 0


@stage()
def calibrate(job: Job, prepared: Prepared, model: Trained, controls: Sequence[Trained]) -> Served:
    """Choose what answers each outcome, calibrate it on the calibration records, and pack.

    Choices are made on validation and calibration records together: both networks stopped by the
    first, and none has seen the others. Boosting, which trains on validation records too, is judged
    there by twins that did not. On SUPPORT2, four seeds and seven outcomes, the difference that the
    twins showed was off from the one on test records by .014 (root mean square); on calibration
    records alone, eight of a hundred, it would have been off by .025.
    Test records have no say.
    """
    scorer: PatientsScorer = load_scorer(job.folder / model.name)
    rivals = [each for each in controls if each.name in (SINGLE, BOOSTING)]
    sharing = model.name == SHARED and bool(rivals)
    choices = _choices(job, prepared, [model, *rivals]) if sharing else ()
    alone = {choice.outcome: choice.by for choice in choices if choice.by != SHARED}
    found = calibrators(job, prepared, model)
    for rival in rivals if alone else ():
        own = calibrators(job, prepared, rival)
        found |= {name: own[name] for name in served_by(alone, rival.name) if name in own}
    for name, by in alone.items():
        say(f"{name}: served by {by}")
    packed = replace(_with(job, scorer, alone), calibrators=found)
    records = sum(prepared.split[part]["records"] for part in DECIDED_ON)
    return Served(packed.save(job.folder / "package"), choices, records)


def _choices(job: Job, prepared: Prepared, trained: Sequence[Trained]) -> tuple[Choice, ...]:
    """Of the shared network, which comes first, and its rivals."""
    config: PatientsConfig = job.config
    _, codecs = prepared.read_rules()
    first, second = (prepared.bare(part) for part in DECIDED_ON)
    cohort = first.joined(second)
    keys = {name: f"{name}.{codec.outcome.metric}" for name, codec in codecs.items()}
    models = {each.name: _judged(each, cohort.targets, codecs, keys) for each in trained}
    repeats = EFFORTS[config.scale].repeats
    comparison = compare(models, cohort.patients, repeats, config.seed)
    margins = load_rules(job.pipeline, job.name).noninferiority
    rivals = [each.name for each in trained[1:]]
    labels = {name: int(known(values).sum()) for name, values in cohort.targets.values.items()}
    return choose(comparison, keys, rivals, config.worse, margins, labels)


def _judged(
    trained: Trained, targets: Targets, codecs: Mapping[str, Codec], keys: Mapping[str, str]
) -> dict[str, Score]:
    """Main metrics alone, for each is drawn again and again."""
    parts = [trained.read_unseen(part, codecs) for part in DECIDED_ON]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in codecs}
    found = scores(codecs, targets, predictions(codecs, outputs, {}))
    return {key: score for key, score in found.items() if key in keys.values()}


def _with(job: Job, scorer: PatientsScorer, alone: Mapping[str, str]) -> PatientsScorer:
    """The shared network with what answers some outcomes in its place."""
    network, boosted = scorer.network, {}
    if own := served_by(alone, SINGLE):
        patched = Patched(scorer.shape, network, own)
        patched.take(load_scorer(job.folder / SINGLE).network)
        network = patched.eval()
    if trees := served_by(alone, BOOSTING):
        codecs = {name: scorer.codecs[name] for name in trees}
        boosted = load_boosted(job.folder / BOOSTING, codecs, len(scorer.encoder.features))
    return replace(scorer, network=network, alone=alone, boosted=boosted)
