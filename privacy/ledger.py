"""An owner's privacy budget, kept across steps, rounds, jobs and years.

A job reserves its charge before it reads a record and commits it when it has ended; a job that
dies in between stays charged, because nobody can know what it released. Charges are privacy
events, composed together over every job ever run on an owner's records (`accounting`), at the δ
the owner granted. Reserved and committed jobs count, cancelled ones do not.

>>> from pathlib import Path; from tempfile import mkdtemp
>>> ledger = Ledger(Path(mkdtemp()) / "ledger.sqlite")
>>> ledger.grant("sba/FIRST BANK", epsilon=3.0, delta=1e-5)
>>> charge = [{"kind": "gaussian", "sigma": 2.0, "count": 1}]
>>> ledger.reserve("run-1", {"sba/FIRST BANK": charge}).owners
('sba/FIRST BANK',)
>>> ledger.commit("run-1")
>>> round(ledger.budgets()[0].epsilon_left, 1)
1.0
"""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domains.errors import InputError, Refused
from privacy.accounting import check_delta, epsilon_of
from privacy.accounts import Account, Accounts, Cut, check_cut, read_accounts
from privacy.chain import Book, Chain, Entry
from privacy.fingerprints import as_numbers
from privacy.known_records import remember

Events = Sequence[dict[str, Any]]

_TIMEOUT = 60.0  # seconds to wait for another process that writes


@dataclass(frozen=True)
class Budget:
    """One owner's grant and what is left of it; every ε is at the granted δ.

    `epsilon_left` is granted minus spent. Composition is not addition: a job of that ε usually
    fits with room to spare.
    """

    owner: str
    epsilon_granted: float
    delta: float
    epsilon_spent: float
    epsilon_left: float
    jobs: int


@dataclass(frozen=True)
class Reservation:
    """A job's charge, on disk; `head` is the ledger's length and hash, for the run's record."""

    job_id: str
    owners: tuple[str, ...]
    head: tuple[int, str]


class Ledger:
    """The ledger in one file, shared by any number of processes.

    Every method raises InputError where the file cannot be read or written, and Refused where it
    is not what was written. A second file, PATH.key, authenticates it: back up both.
    """

    def __init__(self, path: Path, timeout: float = _TIMEOUT) -> None:
        self._chain = Chain(Path(path), timeout)

    def grant(self, owner: str, epsilon: float, delta: float, source: str = "command") -> None:
        """Set what an owner allows in all, ever; a later grant replaces an earlier one.

        Raises:
            InputError: no owner, or ε or δ out of range.
            Refused: the owner has already spent more than this, at this δ.
        """
        _check_grant(owner, epsilon, delta)
        with self._chain.write() as book:
            spent = read_accounts(book.entries).of(owner).spent(delta)
            if spent > epsilon:
                raise Refused(
                    f"owner {owner} has spent ε {spent:.4g} at δ {delta:g}; "
                    f"a grant of ε {epsilon:g} would lie below that"
                )
            _append_grant(book, owner, epsilon, delta, source)

    def reserve(
        self,
        job_id: str,
        owners: Mapping[str, Events],
        *,
        cut: Cut | None = None,
        grant: tuple[float, float] | None = None,
    ) -> Reservation:
        """Charge every owner, or none, before the first record is read.

        Args:
            job_id: a name no job had before.
            owners: what the job will do to each owner's records, as `PrivacyPlan.events()` says.
            cut: how the records were cut into owners; it stays the same for every job charged.
            grant: ε and δ that the configuration brings, for owners who were never granted any.

        Raises:
            Refused: there is no owner, one has granted nothing, or the charge does not fit; the
                message has the command that would allow it, and the refusal is recorded. Or the
                records were cut otherwise before; then nothing is granted either.
            InputError: the job is known already, or a charge is empty or not understood.
        """
        if not owners:
            raise Refused(f"job {job_id} names no owner to charge, so it may not read any record")
        if not all(owners.values()):
            raise InputError(f"job {job_id}: an owner's charge is empty, expected privacy events")
        with self._chain.write() as book:
            accounts = read_accounts(book.entries)
            if job_id in accounts.jobs:
                raise InputError(f"job {job_id} is {accounts.jobs[job_id]} in the ledger already")
            if cut is not None:
                check_cut(accounts, cut)
            if grant is not None:
                _open(book, accounts, owners, *grant)
                accounts = read_accounts(book.entries)
            refusals = _record(book, accounts, job_id, owners)
            if cut is not None and not refusals:
                book.append("cut", job=job_id, detail={"name": cut.name, "cut": cut.how})
            head = book.head
        if refusals:
            others = f" (and so for {len(refusals) - 1} more)" if len(refusals) > 1 else ""
            raise Refused(f"job {job_id} refused: {refusals[0]}{others}")
        return Reservation(job_id, tuple(owners), head)

    def commit(self, job_id: str) -> None:
        """Record that a job ended. Its charge stays as reserved.

        Raises:
            InputError: the job is not reserved.
        """
        self._close(job_id, "commit", {})

    def cancel(self, job_id: str, reason: str = "nothing was noised or released") -> None:
        """Give a reservation back. Only for a job that released nothing, which the caller vouches
        for and the ledger records.

        Raises:
            InputError: the job is not reserved; a committed one stays charged.
        """
        self._close(job_id, "cancel", {"reason": reason})

    def budgets(self, owner: str | None = None) -> list[Budget]:
        """Every owner who granted anything, or one of them, by name.

        Raises:
            InputError: this owner granted nothing.
        """
        with self._chain.read() as book:
            accounts = read_accounts(book.entries).owners
        granted = [account for _, account in sorted(accounts.items()) if account.granted]
        if owner is not None:
            granted = [account for account in granted if account.owner == owner]
            if not granted:
                raise InputError(f"owner {owner} is not in the ledger; {_command(owner)}")
        return [_budget(account) for account in granted]

    def history(self, owner: str) -> list[Entry]:
        """All that concerns an owner, oldest first: grants, reservations, ends, refusals.

        A reservation's detail holds its events and `epsilon_after`, the ε spent with it.

        Raises:
            InputError: the ledger never heard of this owner.
        """
        with self._chain.read() as book:
            entries = book.entries
        jobs = {entry.job for entry in entries if entry.owner == owner and entry.kind == "reserve"}
        lines = [
            entry
            for entry in entries
            if entry.owner == owner or (entry.kind in ("commit", "cancel") and entry.job in jobs)
        ]
        if not lines:
            raise InputError(f"owner {owner} is not in the ledger; {_command(owner)}")
        return lines

    def register_records(self, data_name: str, fingerprints: set[bytes]) -> None:
        """Remember which records a data name stands for, so that renaming buys no new budget.

        Args:
            data_name: the first part of the owners' names.
            fingerprints: keyed digests of rows (`fingerprints.row_fingerprints`).

        Raises:
            Refused: too many of the records are known under another name.
        """
        with self._chain.write() as book:
            remember(book, data_name, as_numbers(fingerprints))

    def head(self) -> tuple[int, str]:
        """The number of entries and the last one's hash."""
        with self._chain.read() as book:
            return book.head

    def _close(self, job_id: str, kind: str, detail: dict[str, Any]) -> None:
        with self._chain.write() as book:
            found = read_accounts(book.entries).jobs.get(job_id, "unknown")
            if found != "reserved":
                raise InputError(f"job {job_id} is {found} in the ledger, expected reserved")
            book.append(kind, job=job_id, detail=detail)


def _record(book: Book, accounts: Accounts, job_id: str, owners: Mapping[str, Events]) -> list[str]:
    """Write all reservations, or the refusals alone; returns the reasons of those."""
    after, refusals = {}, {}
    for owner, events in owners.items():
        account = accounts.of(owner)
        after[owner] = account.spent(account.delta, events) if account.granted else math.inf
        if not (account.granted and after[owner] <= account.epsilon):
            refusals[owner] = _refusal(account, events, after[owner])
    for owner, reason in refusals.items():
        book.append("refuse", job=job_id, owner=owner, detail={"reason": reason})
    for owner, events in owners.items() if not refusals else ():
        detail = {"events": list(events), "epsilon_after": after[owner]}
        book.append("reserve", job=job_id, owner=owner, detail=detail)
    return list(refusals.values())


def _refusal(account: Account, events: Events, after: float) -> str:
    if not account.granted:
        return f"owner {account.owner} has granted nothing; {_command(account.owner)}"
    delta = account.delta
    while math.isinf(account.spent(delta, events)) and delta < 0.1:
        delta *= 10
    needed = math.ceil(100 * account.spent(delta, events)) / 100
    return (
        f"owner {account.owner} granted ε {account.epsilon:g} at δ {account.delta:g}, "
        f"spent {account.spent(account.delta):.4g}, and the job asks "
        f"{epsilon_of(events, account.delta):.4g} ({after:.4g} together); "
        f"{_command(account.owner, f'{needed:g}', f'{delta:g}')}"
    )


def _command(owner: str, epsilon: str = "E", delta: str = "D") -> str:
    command = f"careledger budget grant {shlex.quote(owner)} --epsilon {epsilon} --delta {delta}"
    return f"to allow it: {command}"


def _open(
    book: Book, accounts: Accounts, owners: Iterable[str], epsilon: float, delta: float
) -> None:
    """The grant a configuration brings: written only for owners who were never granted any."""
    for owner in owners:
        _check_grant(owner, epsilon, delta)
        if not accounts.of(owner).granted:
            _append_grant(book, owner, epsilon, delta, "configuration")


def _append_grant(book: Book, owner: str, epsilon: float, delta: float, source: str) -> None:
    detail = {"epsilon": float(epsilon), "delta": float(delta), "source": source}
    book.append("grant", owner=owner, detail=detail)


def _check_grant(owner: str, epsilon: float, delta: float) -> None:
    if not owner.strip():
        raise InputError("owner: found an empty name, expected DATA or DATA/CLIENT")
    if not 0.0 < epsilon < math.inf:
        raise InputError(f"epsilon: found {epsilon}, expected a positive number")
    check_delta(delta)


def _budget(account: Account) -> Budget:
    spent = account.spent(account.delta)
    left = max(0.0, account.epsilon - spent)
    jobs = len(account.charges)
    return Budget(account.owner, account.epsilon, account.delta, spent, left, jobs)
