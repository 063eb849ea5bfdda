"""What to watch once a credit model is used: its own test numbers, and when to act on new ones."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.evidence import Cell, Table
from pipelines.governance.gate import Rules, load_rules
from pipelines.tracking import Job

_EACH, _OUTCOMES = "every month", "when outcomes are known"
_RATES = {
    "approval.rate": ("share approved", _EACH),
    "default_rate": ("default rate", _OUTCOMES),
    "approval.default_rate": ("default rate of those approved", _OUTCOMES),
}


def plan_of(job: Job, metrics: Mapping[str, float]) -> Table:
    """The monitoring plan: number, its value on test records, when to act, how often to look.

    Args:
        job: The job, whose gate's rules are limits here too.
        metrics: On test records, with their intervals; empty where none may be released.
    """
    rules = load_rules(job.pipeline, job.name)
    rows: list[list[Cell]] = [
        ["AUROC", _told(metrics, "auroc"), f"its interval lies below {_floor(rules, metrics)}",
         _OUTCOMES],
        ["calibration error", _told(metrics, "ece"), f"above {rules.max_ece:g}", _OUTCOMES],
    ]  # fmt: skip
    if rules.slope:
        low, high = rules.slope
        wholly = f"its interval lies below {low:g} or above {high:g}"
        rows.append(["calibration slope", _told(metrics, "calibration_slope"), wholly, _OUTCOMES])
    for name, (said, often) in _RATES.items():
        if name in metrics:
            rows.append([said, _told(metrics, name), f"outside {_interval(metrics, name)}", often])
    rows += _of_groups(rules, metrics)
    return Table(
        title="Monitoring plan",
        caption="Values are this run's on test records; limits are their 95 % intervals and the "
        "rules of the gate. When the default rate moves and the order of loans does not, move the "
        f"intercept (careledger models recalibrate {job.name} --rate …); when AUROC falls, train "
        "again.",
        columns=["number", "test records", "act when", "look"],
        rows=rows,
    )


def _of_groups(rules: Rules, metrics: Mapping[str, float]) -> list[list[Cell]]:
    limits = {
        "approval_ratio": ("approval ratio", "below", rules.min_approval_ratio, _EACH),
        "calibration_difference": (
            "calibration between groups", "above", rules.max_calibration_difference, _OUTCOMES
        ),
    }  # fmt: skip
    rows: list[list[Cell]] = []
    for name in metrics:
        start, _, last = name.rpartition(".")
        if start.startswith("fairness.") and last in limits:
            said, side, limit, often = limits[last]
            column = start.removeprefix("fairness.")
            act = f"its interval lies {side} {limit:g}" if limit is not None else "it worsens"
            rows.append([f"{said}, {column}", _told(metrics, name), act, often])
    return rows


def _floor(rules: Rules, metrics: Mapping[str, float]) -> str:
    """The lower end of the test, or the gate's floor where that is higher or nothing is told."""
    return f"{max(rules.floor, metrics.get('auroc_low', rules.floor)):.3g}"


def _told(metrics: Mapping[str, float], name: str) -> str | None:
    if name not in metrics:
        return None
    return f"{metrics[name]:.3f} ({_interval(metrics, name)})"


def _interval(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f}"
