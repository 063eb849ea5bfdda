"""The last work of the patients flow: model and controls on the test records, as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.multitask.patched import SINGLE
from pipelines.evidence import Arm, Evidence
from pipelines.progress import say
from pipelines.stages import stage
from pipelines.steps.patients import (
    benefit,
    calibration,
    choosing,
    external,
    figures,
    interference,
    outcome_by_outcome,
    report_tables,
    slices,
    words,
)
from pipelines.steps.patients.choosing import Choice
from pipelines.steps.patients.groups import read_groups
from pipelines.steps.patients.prepare import EXTERNAL, Prepared
from pipelines.steps.patients.served import Served
from pipelines.steps.patients.tested import ITSELF, Tested, read_test
from pipelines.steps.patients.training import Trained
from pipelines.tracking import Job, log_arm


@stage()
def evaluate(job: Job, prepared: Prepared, served: Served, trained: Sequence[Trained]) -> Evidence:
    """Metrics of the packed model and its controls, each with its interval by patient.

    The packed model is judged by what it answers to raw records, as it will be served.
    """
    model, *rest = trained
    # What sharing is compared with comes before sharing otherwise.
    controls = sorted(rest, key=lambda each: each.name == words.GROUPED)
    trained = [model, *controls]
    tested = read_test(job, prepared, served.package, trained, "test")
    metrics = {each.name: tested.metrics(each.name) for each in trained}
    there: Tested | None = None
    if EXTERNAL in prepared.split:
        there = read_test(job, prepared, served.package, trained, EXTERNAL)
        for each in trained:
            found = there.metrics(each.name)
            metrics[each.name] |= {f"{EXTERNAL}.{key}": value for key, value in found.items()}
    where = job.config.test.path.name if there else ""
    if model.name == "shared":
        own = tested.metrics(ITSELF)  # a fallback must not read as the shared network's merit
        metrics[model.name] |= {f"shared.{key}": value for key, value in own.items()}
    arms = [_arm(each, metrics[each.name], chosen=each is model) for each in trained]
    for arm, each in zip(arms, trained, strict=True):
        log_arm(job, arm, each.history if prepared.dataset.public else None)
    rivals = [control.name for control in controls]
    comparison, codecs = tested.comparison, tested.codecs
    headline = words.headline(
        comparison, model.name, rivals, len(codecs), prepared.split["test"]["records"], tested.alone
    )
    say(headline)
    groups = slices.by_group(tested, read_groups(prepared.records))
    told = words.findings(comparison, codecs, model.name, rivals, tested.alone)
    return Evidence(
        pipeline=job.pipeline,
        headline=headline,
        data=prepared.dataset.to_json(),
        split=prepared.split,
        metrics=metrics[model.name],
        arms=arms,
        calibration=calibration.told(tested),
        findings=[
            *told[: len(rivals)],
            *(external.finding(tested, there, where) if there else ()),
            *choosing.sentences(model.name, served.choices, served.records),
            *interference.findings(model, list(codecs)),
            *slices.finding(groups),
            *words.cost({each.name: each.seconds for each in trained}),
            *told[len(rivals) :],
        ],
        limits=words.limits(codecs, tested.cohort, prepared.warnings, prepared.dataset.public),
        figures=[
            *figures.draw(job.folder / "figures", tested, trained),
            *(external.draw(job.folder / "figures", there, where) if there else ()),
            *slices.draw(job.folder / "figures", groups),
        ],
        tables=[
            *outcome_by_outcome.table(tested, model.name, rivals),
            *(external.tables(tested, there, where) if there else ()),
            *report_tables.made(prepared, tested, model.name, rivals),
            *choosing.tables(served.choices, served.records),
            *calibration.tables(tested, job.config.coverage),
            *benefit.tables(tested),
            *slices.tables(groups, prepared.dataset.public),
        ],
        remarks={
            "calibration": calibration.remarks(tested, job.config.coverage),
            "decisions": benefit.remarks(tested),
        },
        served=_served(served.choices, tested),
    )


def _served(choices: Sequence[Choice], tested: Tested) -> dict[str, dict[str, Any]]:
    """By what each outcome is served, and how the shared network stands to its own network."""
    keys = words.main_keys(tested.codecs, tested.comparison, tested.model)
    found: dict[str, dict[str, Any]] = {}
    for choice in choices:
        less_own = None
        if choice.outcome in keys:
            gap = tested.comparison.difference(ITSELF, SINGLE, keys[choice.outcome])
            less_own = [gap.value, gap.low, gap.high]
        found[choice.outcome] = {"by": choice.by, "why": choice.why, "less_own": less_own}
    return found


def _arm(trained: Trained, metrics: dict[str, float], chosen: bool) -> Arm:
    return Arm(trained.name, trained.role, metrics, trained.seconds, trained.note, chosen)
