"""Evidence of a recalibrated version: what is new in it, beside all that its source has shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.credit_decision import Cutoff, Use
from models.scorecard_points import Scorecard
from pipelines.evidence import Arm, Evidence, Figure, Metrics
from pipelines.reporting import figures
from pipelines.steps.credit.decisions import decided_of, decision_table
from pipelines.steps.credit.monitoring import plan_of
from pipelines.steps.credit.pictures import points_table
from pipelines.steps.credit.recalibration import BEFORE, RANKING, Change, Shown
from pipelines.steps.credit.training import FEDERATED
from pipelines.tracking import Job


@dataclass(frozen=True)
class Source:
    """The version that is recalibrated.

    Attributes:
        name, version: As registered.
        run_id: Its run.
        trained: The run that trained its weights: its own, unless it was recalibrated itself.
        evidence: What it has shown.
        scorer: Its model.
        split: Name of the split that holds its test records out.
    """

    name: str
    version: str
    run_id: str
    trained: str
    evidence: Evidence
    scorer: Any
    split: str


def evidence_of(
    job: Job,
    source: Source,
    change: Change,
    scorer: Any,
    shown: Shown | None,
    split: dict[str, dict[str, int]] | None,
    notes: Sequence[str],
) -> Evidence:
    """The evidence of the new version.

    Args:
        job: The recalibration.
        source: Where the weights come from.
        change: What was done.
        scorer: The new version's model.
        shown: Its test; None where nothing of held-out records may be told.
        split: Records of a labelled file by role; None without one.
        notes: On the data.
    """
    old = source.evidence
    before: Metrics = {}
    after: Metrics = {}
    if shown:
        after, before = shown.metrics()
        if split is None:  # one and the same order: on all held-out records it is what it was
            after, before = (each | _of_ranking(old.metrics) for each in (after, before))
    ways = f"weights of version {source.version}; {change.method}"
    bare = Evidence(
        pipeline=old.pipeline,
        headline=_headline(source, change, after),
        data={**old.data, "notes": [*old.data.get("notes", []), *notes]},
        split={**old.split, **{f"recalibration, {k}": v for k, v in (split or {}).items()}},
        metrics=after,
        arms=[
            Arm(FEDERATED, "arm", after, 0.0, ways, chosen=True),
            Arm(BEFORE, "arm", before, 0.0, f"version {source.version} as it was, same records"),
            *_controls(source),
        ],
        calibration=_calibration(change, shown),
        privacy=old.privacy,
        limits=[*(each for each in old.limits if each != _ASSUMED), *_limits(split)],
        scorecard=points_table(scorer) if isinstance(scorer, Scorecard) else None,
        findings=_findings(change, scorer.use, shown),
        monitoring=plan_of(job, after),
    )
    return _with_tables(bare, job, scorer.use.cutoff, shown)


def _controls(source: Source) -> list[Arm]:
    """What the weights were measured against when they were trained: recalibrating adds none."""
    was = "when the weights were trained"
    controls = [arm for arm in source.evidence.arms if arm.role == "control"]
    return [
        arm if arm.note.endswith(was) else replace(arm, note=f"{arm.note}; {was}".strip("; "))
        for arm in controls
    ]


_ASSUMED = (
    "The intercept was moved to a stated default rate: right where only that rate has moved. "
    "Whether loans that default still look as they did was not tested."
)


def _limits(split: dict[str, dict[str, int]] | None) -> list[str]:
    return [_ASSUMED] if split is None else []


def _with_tables(bare: Evidence, job: Job, cutoff: Cutoff | None, shown: Shown | None) -> Evidence:
    if shown is None:
        return bare
    tables = [shown.table()]
    if cutoff is not None:
        found = decided_of(shown.tested, cutoff.highest)
        tables.append(decision_table(cutoff.rate, cutoff.highest, found))
    least = job.config.fairness.least
    fair = [t for each in shown.columns() for t in (each.table(least), each.gap_table())]
    return replace(bare, tables=tables, fairness=fair, figures=[_figure(job, shown)])


def _of_ranking(metrics: Metrics) -> Metrics:
    names = [f"{name}{end}" for name in RANKING for end in ("", "_low", "_high")]
    return {name: metrics[name] for name in names if name in metrics}


def _headline(source: Source, change: Change, metrics: Metrics) -> str:
    told = f"Version {source.version} recalibrated, {change.method}"
    if "ece" not in metrics:
        return f"{told}; the same weights, at the same ε."
    error = f"{metrics['ece']:.3f} (95 % interval {metrics['ece_low']:.3f} to"
    return f"{told}: test calibration error {error} {metrics['ece_high']:.3f}), order unchanged."


def _calibration(change: Change, shown: Shown | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "method": change.method,
        "slope": change.slope,
        "intercept": change.intercept,
        "default_rate": change.after,
    }
    if change.before is not None:
        made["default_rate_before"] = change.before
    if shown:
        before, after, _ = shown.error()
        made |= {"ece_before": before.value, "ece_after": after.value}
    return made


def _findings(change: Change, use: Use, shown: Shown | None) -> list[str]:
    said = [
        f"Log-odds z became {change.slope:.3f} · z {change.intercept:+.3f}: no weight and no order "
        "of loans changed."
    ]
    if shown:
        first, second, gap = shown.error()
        verdict = "fell" if gap.high < 0 else "rose" if gap.low > 0 else "did not clearly move"
        said.append(
            f"Calibration error before {first.value:.3f} ({first.low:.3f} to {first.high:.3f}), "
            f"after {second.value:.3f} ({second.low:.3f} to {second.high:.3f}), on "
            f"{len(shown.tested.y)} records that did not choose the change: it {verdict} "
            f"({gap.value:+.3f}, {gap.low:+.3f} to {gap.high:+.3f})."
        )
    if use.cutoff is not None:
        said.append(
            f"Loans are approved up to a probability of {use.cutoff.highest:.4f} now, "
            f"chosen to approve {use.cutoff.rate:.0%}."
        )
    return said


def _figure(job: Job, shown: Shown) -> Figure:
    folder: Path = job.folder / "figures"
    folder.mkdir(exist_ok=True)
    scores = {"before": shown.before, "after": shown.tested.scores[FEDERATED]}
    path = figures.reliability(folder / "reliability.png", shown.tested.y, scores)
    return Figure(
        "reliability",
        "Predicted against observed, before and after",
        "Records that did not choose the change; on the line, probabilities mean what they say.",
        path,
    )
