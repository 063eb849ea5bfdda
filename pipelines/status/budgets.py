"""What owners have granted, spent and left; whose budget ends first, and how soon."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.settings import ledger_path
from privacy.accounting import rough_epsilon
from privacy.ledger import Budget, Ledger

_CLOSE = 2
"""So many owners with the least left are asked how many more runs they pay for."""
_MANY = 64
_WAIT = 1.0  # seconds for a job that is writing


def read() -> list[dict[str, Any]]:
    """Every owner, the one who has the least left of its grant first.

    `more_runs` is how many more runs like its last one fit, never too many: ε is bounded from
    above. It is None where it was not computed, or where `_MANY` would fit.
    """
    if not ledger_path().exists():
        return []
    ledger = Ledger(ledger_path(), timeout=_WAIT)
    found = sorted(ledger.budgets(), key=lambda b: (_share_left(b), b.owner))
    rows = [{**asdict(b), "more_runs": None} for b in found]
    for row in [row for row in rows if row["jobs"]][:_CLOSE]:
        row["more_runs"] = more_runs(ledger, row)
    return rows


def _share_left(budget: Budget) -> float:
    return budget.epsilon_left / budget.epsilon_granted


def more_runs(ledger: Ledger, row: dict[str, Any]) -> int | None:
    """How many runs like an owner's last one its budget still covers; None for `_MANY`."""
    cancelled, charges = set(), {}
    for entry in ledger.history(row["owner"]):
        if entry.kind == "reserve":
            charges[entry.job] = entry.detail["events"]
        elif entry.kind == "cancel":
            cancelled.add(entry.job)
    kept = [events for job, events in charges.items() if job not in cancelled]
    spent, last = [event for events in kept for event in events], kept[-1]

    def fit(runs: int) -> bool:
        return rough_epsilon([*spent, *last * runs], row["delta"]) <= row["epsilon_granted"]

    if fit(_MANY):
        return None
    low, high = 0, _MANY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return low
