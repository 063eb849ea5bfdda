"""What the ledger's entries mean: grants, the jobs that count against them, and cuts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from domains.errors import Refused
from privacy.accounting import epsilon_of
from privacy.chain import Entry

Standing = Literal["unknown", "reserved", "committed", "cancelled"]
WHOLE = "whole"
"""The cut of a file whose clients the job makes itself: all of it is one owner's."""


@dataclass(frozen=True)
class Cut:
    """How the records under a data name were cut into owners.

    Attributes:
        name: The data's.
        column: Column that names the owners; None: one owner for all.
    """

    name: str
    column: str | None = None

    @property
    def how(self) -> str:
        """`column:NAME` or `whole`."""
        return WHOLE if self.column is None else f"column:{self.column}"


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
    """All owners, where each job stands (reserved, committed or cancelled), and cuts by name.

    A name's cut is that of its charged jobs, by job; a cancelled one binds nobody.
    """

    owners: dict[str, Account] = field(default_factory=dict)
    jobs: dict[str, Standing] = field(default_factory=dict)
    cuts: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, owner: str) -> Account:
        """The owner's account; an empty one where none was opened."""
        return self.owners.get(owner, Account(owner))

    def charges_of(self, job: str) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """Charge → owner → events, of a job and of all that it had to do again (JOB.2, JOB.3 …)."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for account in self.owners.values():
            for name, events in account.charges.items():
                if name == job or again_of(name) == job:
                    found.setdefault(name, {})[account.owner] = events
        return found

    def asks_the_same(
        self, job: str, owners: Mapping[str, Sequence[dict[str, Any]]], cut: Cut | None
    ) -> bool:
        """Whether a job was charged exactly this."""
        cuts = {name: jobs[job] for name, jobs in self.cuts.items() if job in jobs}
        charge = {owner: list(events) for owner, events in owners.items()}
        same_cut = cuts == ({cut.name: cut.how} if cut else {})
        return same_cut and self.charges_of(job).get(job) == charge


def again_of(name: str) -> str | None:
    """The job that a further charge belongs to; None for a job's first charge.

    >>> again_of("a1b2.2"), again_of("a1b2")
    ('a1b2', None)
    """
    job, dot, number = name.rpartition(".")
    return job if dot and number.isdecimal() else None


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
        elif entry.kind == "cut":
            accounts.cuts.setdefault(entry.detail["name"], {})[str(entry.job)] = entry.detail["cut"]
        elif entry.kind == "commit":
            accounts.jobs[str(entry.job)] = "committed"
        elif entry.kind == "cancel":
            _cancel(accounts, str(entry.job))
    return accounts


def check_cut(accounts: Accounts, cut: Cut) -> None:
    """A record cut into other owners would find a new budget there.

    Raises:
        Refused: the records under this name were cut otherwise by a job that was charged.
    """
    first = next(iter(accounts.cuts.get(cut.name, {}).values()), cut.how)
    if first != cut.how:
        raise Refused(
            f"data {cut.name} was charged {_said(first)} before, and {_said(cut.how)} its records "
            f"would find a new budget; {_mend(first)}"
        )


def _said(how: str) -> str:
    return "as one owner" if how == WHOLE else f"by its column {how.partition(':')[2]}"


def _mend(how: str) -> str:
    if how == WHOLE:
        return "set clients.count, with any number, in place of clients.column"
    return f"set clients.column: {how.partition(':')[2]}"


def _opened(accounts: Accounts, entry: Entry) -> Account:
    owner = str(entry.owner)
    return accounts.owners.setdefault(owner, Account(owner))


def _cancel(accounts: Accounts, job: str) -> None:
    accounts.jobs[job] = "cancelled"
    for account in accounts.owners.values():
        account.charges.pop(job, None)
    for jobs in accounts.cuts.values():
        jobs.pop(job, None)
