"""What the ledger's entries mean: grants, the jobs that count against them, and cuts."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from domains.errors import Refused
from domains.naming import natural
from privacy.accounting import delta_used, epsilon_of
from privacy.chain import LOST, Entry
from privacy.units import check_secret, check_unit

Standing = Literal["unknown", "reserved", "committed", "cancelled"]
WHOLE = "whole"
"""The cut of a file whose clients the job makes itself: all of it is one owner's."""


@dataclass(frozen=True)
class Cut:
    """How the records under a data name were cut into owners.

    Attributes:
        name: The data's.
        column: Column that names the owners; None: one owner for all.
        unit: Columns whose values say which records are held out: that of an id alone, or all in
            the file; empty: not told.
        secret: Name of the home's key, with which that is hashed; empty: not told.
    """

    name: str
    column: str | None = None
    unit: tuple[str, ...] = ()
    secret: str = ""

    @property
    def how(self) -> str:
        """`column:NAME` or `whole`."""
        return WHOLE if self.column is None else f"column:{self.column}"

    def detail(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        told = {"unit": list(self.unit), "secret": self.secret}
        return {"name": self.name, "cut": self.how, **{k: v for k, v in told.items() if v}}


@dataclass(frozen=True)
class Budget:
    """One owner's grant and what is left of it; every ε is at the granted δ.

    `epsilon_left` is granted minus spent. Composition is not addition: a job of that ε usually
    fits with room to spare. `delta_spent` is the part of δ that value lists have used up; the ε
    holds at the whole δ, that part included, and none is left once δ is used up.
    """

    owner: str
    epsilon_granted: float
    delta: float
    epsilon_spent: float
    epsilon_left: float
    jobs: int
    delta_spent: float = 0.0
    delta_left: float = 0.0


@dataclass
class Account:
    """One owner: the grant in force, and the events of every job that was not cancelled.

    Attributes:
        owner: DATA or DATA/CLIENT.
        epsilon, delta: The grant; δ is 0 until something is granted.
        charges: Job → its events.
        bound: After a loss of entries, an event that bounds everything before it.
        covered: Jobs that are within that bound.
        recorded: ε spent at δ as written beside the last charge; None where that has changed since.
        size: Public number of records, of the largest file that was charged; 0: never told.
    """

    owner: str
    epsilon: float = 0.0
    delta: float = 0.0
    charges: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bound: list[dict[str, Any]] = field(default_factory=list)
    covered: frozenset[str] = frozenset()
    recorded: float | None = 0.0
    size: int = 0

    @property
    def granted(self) -> bool:
        """Whether the owner ever granted anything."""
        return self.delta > 0

    def events(self) -> list[dict[str, Any]]:
        """All that counts against the grant."""
        counted = (events for job, events in self.charges.items() if job not in self.covered)
        return [*self.bound, *_together(itertools.chain.from_iterable(counted))]

    def spent(self, delta: float, more: Iterable[dict[str, Any]] = ()) -> float:
        """ε at `delta` of all that counts, and of `more`, composed together."""
        return epsilon_of([*self.events(), *more], delta)

    def known(self) -> float:
        """ε spent at the granted δ, without composing it again where it stands in the ledger."""
        return self.spent(self.delta) if self.recorded is None else self.recorded

    @property
    def jobs(self) -> int:
        """How many jobs count, each with all that it had to do again."""
        return sum(again_of(name) not in self.charges for name in self.charges)


@dataclass
class Accounts:
    """All owners, where each job stands (reserved, committed or cancelled), cuts and units by name.

    A name's cut and unit are those of its charged jobs, by job; a cancelled one binds nobody. So it
    is with `secrets`, the names of the home's key by job, whatever the data.
    `lost`: a part of the ledger was lost, so that an owner who is not in it may have spent before.
    """

    owners: dict[str, Account] = field(default_factory=dict)
    jobs: dict[str, Standing] = field(default_factory=dict)
    cuts: dict[str, dict[str, str]] = field(default_factory=dict)
    units: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    lost: bool = False

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

    def charged(self, job: str) -> dict[str, list[dict[str, Any]]]:
        """Owner → all events that a job was charged for, those charged again included."""
        found: dict[str, list[dict[str, Any]]] = {}
        for charge in self.charges_of(job).values():
            for owner, events in charge.items():
                found.setdefault(owner, []).extend(events)
        return found

    def budgets(self, owner: str | None = None) -> list[Budget]:
        """Of all owners who granted anything, or of one of them, by name."""
        asked = [one for one in self.owners.values() if one.granted and owner in (None, one.owner)]
        return [budget_of(one) for one in sorted(asked, key=lambda one: natural(one.owner))]

    def asks_the_same(
        self, job: str, owners: Mapping[str, Sequence[dict[str, Any]]], cut: Cut | None
    ) -> bool:
        """Whether a job was charged exactly this."""
        cuts = {name: jobs[job] for name, jobs in self.cuts.items() if job in jobs}
        charge = {owner: list(events) for owner, events in owners.items()}
        same_cut = cuts == ({cut.name: cut.how} if cut else {})
        if cut and self.units.get(cut.name, {}).get(job, cut.unit) != cut.unit:
            return False
        return same_cut and self.charges_of(job).get(job) == charge


def budget_of(account: Account) -> Budget:
    """What is left of an owner's grant."""
    spent = account.known()
    left = max(0.0, account.epsilon - spent)
    used = delta_used(account.events())
    return Budget(
        account.owner,
        account.epsilon,
        account.delta,
        spent,
        left,
        account.jobs,
        used,
        max(0.0, account.delta - used),
    )


def _together(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Equal sampled mechanisms, of which years of one job leave thousands, counted together.

    Others stay as they are: their precision is summed by whoever composes them.
    """
    rest: list[dict[str, Any]] = []
    counts: dict[tuple[float, float], int] = {}
    for event in events:
        if event["kind"] == "poisson-gaussian":
            mechanism = event["q"], event["sigma"]
            counts[mechanism] = counts.get(mechanism, 0) + event["count"]
        else:
            rest.append(event)
    sampled = [
        {"kind": "poisson-gaussian", "q": q, "sigma": sigma, "count": count}
        for (q, sigma), count in counts.items()
    ]
    return [*sampled, *rest]


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
            _grant(_opened(accounts, entry), entry.detail)
        elif entry.kind == "reserve":
            account = _opened(accounts, entry)
            account.charges[str(entry.job)] = entry.detail["events"]
            account.recorded = float(entry.detail["epsilon_after"])
            account.size = max(account.size, int(entry.detail.get("size", 0)))
            accounts.jobs[str(entry.job)] = "reserved"
        elif entry.kind == LOST:
            _lose(accounts, entry)
        elif entry.kind == "cut":
            _cut(accounts, str(entry.job), entry.detail)
        elif entry.kind == "commit":
            accounts.jobs[str(entry.job)] = "committed"
        elif entry.kind == "cancel":
            _cancel(accounts, str(entry.job))
    return accounts


def check_cut(accounts: Accounts, cut: Cut) -> None:
    """A record cut into other owners would find a new budget there.

    Raises:
        Refused: the records under this name were cut otherwise by a job that was charged, or it is
            said otherwise which of them are held out; or the home's key is another one.
    """
    check_secret(next(iter(accounts.secrets.values()), ""), cut.secret)
    first = next(iter(accounts.cuts.get(cut.name, {}).values()), cut.how)
    if first != cut.how:
        raise Refused(
            f"data {cut.name} was charged {_said(first)} before, and {_said(cut.how)} its records "
            f"would find a new budget; {_mend(first)}"
        )
    check_unit(cut.name, next(iter(accounts.units.get(cut.name, {}).values()), ()), cut.unit)


def _said(how: str) -> str:
    return "as one owner" if how == WHOLE else f"by its column {how.partition(':')[2]}"


def _mend(how: str) -> str:
    if how == WHOLE:
        return "set clients.count, with any number, in place of clients.column"
    return f"set clients.column: {how.partition(':')[2]}"


def _opened(accounts: Accounts, entry: Entry) -> Account:
    owner = str(entry.owner)
    return accounts.owners.setdefault(owner, Account(owner))


def _grant(account: Account, detail: dict[str, Any]) -> None:
    if detail["delta"] != account.delta and account.events():
        account.recorded = None
    account.epsilon, account.delta = detail["epsilon"], detail["delta"]


def _cut(accounts: Accounts, job: str, detail: dict[str, Any]) -> None:
    accounts.cuts.setdefault(detail["name"], {})[job] = detail["cut"]
    if "unit" in detail:
        accounts.units.setdefault(detail["name"], {})[job] = tuple(detail["unit"])
    if "secret" in detail:
        accounts.secrets[job] = detail["secret"]


def _lose(accounts: Accounts, entry: Entry) -> None:
    accounts.lost = True
    if entry.owner is not None:
        account = _opened(accounts, entry)
        account.bound, account.covered = entry.detail["events"], frozenset(account.charges)
        account.recorded = None


def _cancel(accounts: Accounts, job: str) -> None:
    accounts.jobs[job] = "cancelled"
    for account in accounts.owners.values():
        if account.charges.pop(job, None) is not None:
            account.recorded = None
    accounts.secrets.pop(job, None)
    for cuts in accounts.cuts.values():
        cuts.pop(job, None)
    for units in accounts.units.values():
        units.pop(job, None)
