"""What owners have granted, spent and left; whose budget ends first, and how soon."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Any

from pipelines.settings import has_ledger, open_ledger
from privacy.accounting import rough_epsilon
from privacy.accounts import Account, budget_of, read_accounts

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
    if not has_ledger():
        return []
    entries = open_ledger(_WAIT).entries()
    granted = [one for one in read_accounts(entries).owners.values() if one.granted]
    rows = [{**asdict(budget_of(account)), "more_runs": None} for account in granted]
    rows.sort(key=lambda row: (row["epsilon_left"] / row["epsilon_granted"], row["owner"]))
    accounts = {account.owner: account for account in granted}
    for row in [row for row in rows if row["jobs"]][:_CLOSE]:
        row["more_runs"] = _more_runs(accounts[row["owner"]])
    return rows


def _more_runs(account: Account) -> int | None:
    spent, last = account.events(), list(account.charges.values())[-1]
    return _fitting(json.dumps(spent), json.dumps(last), account.epsilon, account.delta)


@cache  # owners of one job are often charged alike
def _fitting(charged: str, again: str, granted: float, delta: float) -> int | None:
    spent, last = json.loads(charged), json.loads(again)

    def fit(runs: int) -> bool:
        return rough_epsilon([*spent, *last * runs], delta) <= granted

    if fit(_MANY):
        return None
    low, high = 0, _MANY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return low
