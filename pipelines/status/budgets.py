"""What owners have granted, spent and left; whose budget ends first, and how soon."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pipelines.settings import ledger_path
from privacy.accounting import rough_epsilon
from privacy.accounts import Account, again_of, read_accounts
from privacy.chain import Entry
from privacy.ledger import Ledger

_CLOSE = 2
"""So many owners with the least left are asked how many more runs they pay for."""
_MANY = 64
_WAIT = 1.0  # seconds for a job that is writing
Row = dict[str, Any]


def read() -> list[Row]:
    """Every owner who granted anything, the one who has the least left of it first.

    `more_runs` is how many more runs like its last one fit, never too many: ε is bounded from
    above. It is None where it was not computed, or where `_MANY` would fit.
    """
    if not ledger_path().exists():
        return []
    entries = Ledger(ledger_path(), timeout=_WAIT).entries()
    granted = [one for one in read_accounts(entries).owners.values() if one.granted]
    known = _recorded(entries)
    rows = [_row(account, known.get(account.owner)) for account in granted]
    rows.sort(key=lambda row: (row["epsilon_left"] / row["epsilon_granted"], row["owner"]))
    charges = {account.owner: list(account.charges.values()) for account in granted}
    for row in [row for row in rows if row["jobs"]][:_CLOSE]:
        spent = json.dumps(charges[row["owner"]])
        row["more_runs"] = _fitting(spent, row["epsilon_granted"], row["delta"])
    return rows


def _recorded(entries: list[Entry]) -> dict[str, float]:
    """Owner → ε spent, as written beside its last charge: composing it again takes a second.

    Owners who changed their δ since, or were given a charge back, are left out.
    """
    spent: dict[str, float] = {}
    deltas: dict[str, float] = {}
    jobs: dict[str, set[str]] = {}
    for entry in entries:
        owner = str(entry.owner)
        if entry.kind == "reserve":
            spent[owner] = float(entry.detail["epsilon_after"])
            jobs.setdefault(str(entry.job), set()).add(owner)
        elif entry.kind == "grant" and entry.detail["delta"] != deltas.get(owner):
            deltas[owner] = entry.detail["delta"]
            spent.pop(owner, None)
        elif entry.kind == "cancel":
            for charged in jobs.get(str(entry.job), ()):
                spent.pop(charged, None)
    return spent


def _row(account: Account, recorded: float | None) -> Row:
    spent = account.spent(account.delta) if recorded is None else recorded
    return {
        "owner": account.owner,
        "epsilon_granted": account.epsilon,
        "delta": account.delta,
        "epsilon_spent": spent,
        "epsilon_left": max(0.0, account.epsilon - spent),
        "jobs": sum(again_of(name) not in account.charges for name in account.charges),
        "more_runs": None,
    }


@cache  # owners of one job are often charged alike
def _fitting(charges: str, granted: float, delta: float) -> int | None:
    kept = json.loads(charges)
    spent, last = [event for events in kept for event in events], kept[-1]

    def fit(runs: int) -> bool:
        return rough_epsilon([*spent, *last * runs], delta) <= granted

    if fit(_MANY):
        return None
    low, high = 0, _MANY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return low
