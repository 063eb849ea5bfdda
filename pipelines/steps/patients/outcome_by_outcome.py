"""The table that a reader looks for first: what answers each outcome, and whom it beats."""

from __future__ import annotations

from domains.healthcare.outcomes.scores import MEAN
from domains.metrics import Interval
from pipelines.evidence import Cell, Table
from pipelines.steps.patients import words
from pipelines.steps.patients.tested import Tested

CONTROLS = ("single-task", "boosting")
_MARKS = {"ahead of": "▲", "behind": "▼", "level with": ""}


def table(tested: Tested, model: str, rivals: list[str]) -> list[Table]:
    """One line an outcome with its measure and its paired differences; none without controls.

    Args:
        tested: Answers to the test records.
        model: Name of the registered model.
        rivals: Names of what it was compared with.
    """
    against = [rival for rival in CONTROLS if rival in rivals]
    if not against:
        return []
    alone = dict(tested.alone)
    keys = words.main_keys(tested.codecs, tested.comparison, model)
    rows: list[list[Cell]] = []
    for name, key in keys.items():
        metric = words.METRIC_NAMES[tested.codecs[name].outcome.metric]
        by = alone.get(name, model)
        gaps = [None if by == rival else _gap(tested, model, rival, key) for rival in against]
        rows.append([f"{name} ({metric})", by, _value(tested, model, key), *gaps])
    if MEAN in tested.comparison.values[model]:
        gaps = [_gap(tested, model, rival, MEAN) for rival in against]
        rows.append(["mean", "", _value(tested, model, MEAN), *gaps])
    columns = ["outcome", "answered by", "test records", *(f"less {rival}" for rival in against)]
    caption = (
        "The registered version on the test records, and its paired difference from each control, "
        "with 95 % intervals by patient: ▲ better beyond the interval, ▼ worse beyond it, no sign "
        "where the records cannot tell. A dash: that control itself answers."
    )
    return [Table("Outcome by outcome", caption, columns, rows, section="worth")]


def _gap(tested: Tested, model: str, rival: str, key: str) -> Cell:
    gap = tested.comparison.difference(model, rival, key)
    return f"{_MARKS[words.standing(gap)]}{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})"


def _value(tested: Tested, model: str, key: str) -> Cell:
    found: Interval = tested.comparison.interval(model, key)
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
