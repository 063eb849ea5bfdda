"""Which sentences of a run come first, and under which heading the others stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipelines.evidence import Evidence, Table
from pipelines.steps.credit.personal import PERSONAL
from pipelines.steps.credit.training import FEDERATED

_FAIR = "Fairness"
_HEADINGS = {
    "joining": ("Joining", "The gain of", "The smallest", "The middle", "The largest", "The whole",
                "Of the "),
    "calibration": ("Calibration", "After the default rate"),
    "decisions": ("Decisions", "Reasons"),
    "fairness": ("Fairness", "Equal approval"),
}  # fmt: skip
"""Section of the report → how its sentences begin; all others are of what the run was worth."""
_FIRST = (
    ("Federation:",),
    (f"Joining, {PERSONAL}:", f"Joining, {FEDERATED}:", "Joining:"),
    ("Of the ",),
    ("Privacy and federation:", "Privacy", "The schedule:"),
    ("Gradient boosting",),
    ("Over time:",),
    ("Decisions:",),
    (f"{_FAIR}, {{column}}:", _FAIR),
)
"""What a reader must know, in order; of each line the first beginning that a sentence has. The
column is the protected one whose groups are approved least alike."""


def placed(table: Table) -> Table:
    """A table of what follows from scores, under its heading."""
    calibrates = table.title.startswith("Recalibration")
    return replace(table, section="calibration" if calibrates else "decisions")


def in_order(evidence: Evidence) -> Evidence:
    """The same evidence: one sentence a question as its findings, the rest as remarks."""
    said, column = list(evidence.findings), _least_alike(evidence)
    asked = [[kind.format(column=column) for kind in kinds] for kinds in _FIRST]
    first = [line for kinds in asked if (line := _one(said, kinds)) is not None]
    remarks: dict[str, list[str]] = {name: list(told) for name, told in evidence.remarks.items()}
    for line in said:
        if line not in first:
            remarks.setdefault(_section(line), []).append(line)
    return replace(evidence, findings=first, remarks=remarks)


def _least_alike(evidence: Evidence) -> str:
    """The protected column with the lowest approval ratio; empty where none was compared."""
    start, end = "fairness.", ".approval_ratio"
    ratios = {
        name.removeprefix(start).removesuffix(end): value
        for name, value in evidence.metrics.items()
        if name.startswith(start) and name.endswith(end)
    }
    return min(ratios, key=lambda column: ratios[column], default="")


def _one(said: Sequence[str], kinds: Sequence[str]) -> str | None:
    return next((line for kind in kinds for line in said if line.startswith(kind)), None)


def _section(line: str) -> str:
    return next((name for name, starts in _HEADINGS.items() if line.startswith(starts)), "worth")
