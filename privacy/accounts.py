"""What the ledger's entries mean: each owner's grant, and the jobs that count against it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from privacy.accounting import epsilon_of
from privacy.chain import Entry


@dataclass
class Account:
    """One owner: the grant in force, and the events of every job that was not cancelled."""

    owner: str
    epsilon: float = 0.0
    delta: float = 0.0  # 0 until something is granted
    charges: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def granted(self) -> bool:
        """Whether the owner ever granted anything."""
        return self.delta > 0

    def spent(self, delta: float, more: Iterable[dict[str, Any]] = ()) -> float:
        """ε at `delta` of all charges, and of `more`, composed together."""
        events = [event for charge in self.charges.values() for event in charge]
        return epsilon_of([*events, *more], delta)


@dataclass
class Accounts:
    """All owners, and where each job stands: reserved, committed or cancelled."""

    owners: dict[str, Account] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)

    def of(self, owner: str) -> Account:
        """The owner's account; an empty one where none was opened."""
        return self.owners.get(owner, Account(owner))


def read_accounts(entries: Iterable[Entry]) -> Accounts:
    """Fold the entries, oldest first, into the state they describe."""
    accounts = Accounts()
    for entry in entries:
        if entry.kind == "grant":
            account = _opened(accounts, entry)
            account.epsilon, account.delta = entry.detail["epsilon"], entry.detail["delta"]
        elif entry.kind == "reserve":
            _opened(accounts, entry).charges[str(entry.job)] = entry.detail["events"]
            accounts.jobs[str(entry.job)] = "reserved"
        elif entry.kind == "commit":
            accounts.jobs[str(entry.job)] = "committed"
        elif entry.kind == "cancel":
            _cancel(accounts, str(entry.job))
    return accounts


def _opened(accounts: Accounts, entry: Entry) -> Account:
    owner = str(entry.owner)
    return accounts.owners.setdefault(owner, Account(owner))


def _cancel(accounts: Accounts, job: str) -> None:
    accounts.jobs[job] = "cancelled"
    for account in accounts.owners.values():
        account.charges.pop(job, None)
