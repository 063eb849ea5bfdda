"""Evidence of a credit run with decisions, fairness and what to watch added to it."""

from __future__ import annotations

from dataclasses import replace

from pipelines.evidence import Evidence
from pipelines.steps.credit.decisions import decide
from pipelines.steps.credit.fairness import panel
from pipelines.steps.credit.monitoring import plan_of
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import Tested
from pipelines.steps.credit.told import placed
from pipelines.steps.credit.training import Trained
from pipelines.steps.credit.use import pack_use
from pipelines.tracking import Job


def judged(
    evidence: Evidence,
    job: Job,
    prepared: Prepared,
    tested: Tested,
    model: Trained,
    later: Tested | None,
) -> Evidence:
    """The same evidence with calibration, decisions, fairness and monitoring; the threshold is
    packed with the model.

    Args:
        evidence: Of a run that may release its metrics.
        job: The job.
        prepared: Its loans.
        tested: The test records.
        model: The registered model.
        later: The out-of-time test; None without one.
    """
    cut = pack_use(job, prepared, model)
    taken = decide(job, prepared, tested, model, later)
    fair = panel(job, prepared, tested, model, cut)
    metrics = {**evidence.metrics, **taken.metrics, **fair.metrics}
    return replace(
        evidence,
        metrics=metrics,
        findings=[*evidence.findings, *taken.findings, *fair.findings],
        tables=[*evidence.tables, *map(placed, taken.tables)],
        figures=[*evidence.figures, *fair.figures],
        fairness=fair.tables,
        monitoring=plan_of(job, metrics),
    )
