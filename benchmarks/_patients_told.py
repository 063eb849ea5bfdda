"""Rows and tables of the patients benchmark."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks._patients_arms import SERVED, STOPPED
from benchmarks._patients_kept import ALL, Plan, compared, measured
from benchmarks._rows import Row
from domains.healthcare.outcomes.scores import Comparison
from domains.metrics import Interval
from models.multitask.patched import BOOSTING, SINGLE
from pipelines.steps.patients.choosing import SHARED


def told(plan: Plan) -> list[Row]:
    """Rows of what is served, then of the shared network by itself, beside boosting; prints all."""
    lines = measured(plan)
    comparison = compared(plan, lines)
    print(table(plan, lines, comparison))
    keys = [key for key in comparison.values[SHARED] if "." in key or key == ALL]
    return [*_rows(plan, comparison, SERVED, keys), *_rows(plan, comparison, SHARED, keys)]


def _rows(plan: Plan, comparison: Comparison, arm: str, keys: Sequence[str]) -> Iterator[Row]:
    """An outcome is to be not below boosting beyond its interval, the mean above it."""
    for key in keys:
        gap = comparison.difference(arm, BOOSTING, key)
        base = comparison.values[BOOSTING][key]
        low, ratio, high = (1 + each / base for each in (gap.low, gap.value, gap.high))
        name = key if arm == SERVED else f"{arm}.{key}"
        mine, unit = comparison.values[arm][key], key.rpartition(".")[2] if "." in key else "mean"
        met = (ratio if key == ALL else high) >= 1
        yield Row(f"{plan.name}: {name}", mine, base, unit, ratio, 1.0, met, low, high)


def table(plan: Plan, lines: Sequence[dict[str, Any]], comparison: Comparison) -> str:
    """Every mean, and the differences from boosting and single-task networks, as Markdown."""
    arms = [BOOSTING, SINGLE, *plan.recipes, SERVED]
    heard = [*arms, *(arm for arm in (STOPPED,) if arm in comparison.values)]
    pairs = [(SERVED, BOOSTING), *((arm, BOOSTING) for arm in plan.recipes), (SHARED, SINGLE)]
    pairs += [(SHARED, STOPPED)] if STOPPED in heard else []
    heads = [*heard, *(f"{new} − {old}" for new, old in pairs)]
    out = [f"| {plan.name} | {' | '.join(heads)} | served by |", "|---" * (len(heads) + 2) + "|"]
    for key in (k for k in comparison.values[SHARED] if "." in k or k == ALL):
        means = [f"{comparison.values[arm][key]:.3f}" for arm in heard]
        gaps = [_gap(comparison.difference(new, old, key)) for new, old in pairs]
        by = Counter(line["by"][key.partition(".")[0]] for line in lines) if "." in key else {}
        served = ", ".join(f"{name} {count}" for name, count in by.items())
        out.append(f"| {key} | {' | '.join([*means, *gaps])} | {served} |")
    told = ", ".join(f"{arm} {_median(lines, 'seconds', arm):.1f}" for arm in arms[:-1])
    best = ", ".join(f"{arm} {_median(lines, 'validation', arm):.4f}" for arm in arms[:-1])
    head = f"{len(lines)} repeats of {plan.name}; medians: processor seconds"
    return "\n".join([*out, "", f"{head} {told}; mean on validation records {best}."])


def _gap(gap: Interval) -> str:
    return f"{gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"


def _median(lines: Sequence[dict[str, Any]], what: str, arm: str) -> float:
    return statistics.median(line[what][arm] for line in lines)
