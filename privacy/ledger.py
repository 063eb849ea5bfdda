"""An owner's privacy budget, kept across steps, rounds, jobs and years.

A job reserves its charge before it reads a record and commits it when it has ended; a job that
dies in between stays charged, because nobody can know what it released. One that is taken up
again reserves whatever it may have to noise a second time under names of its own (JOB.2, JOB.3 …),
which belong to the job. Charges are privacy events, composed together over every job ever run on
an owner's records (`accounting`), at the δ the owner granted. Reserved and committed jobs count,
cancelled ones do not.

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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domains.errors import InputError, Refused
from privacy import backup
from privacy.accounts import Budget, Cut, Standing, read_accounts
from privacy.anchors import Anchor, Reader, check, check_separate, confirm
from privacy.chain import Book, Chain, Entry
from privacy.charging import Events, append_grant, check_grant, command, expect, standing_of
from privacy.fingerprints import Records
from privacy.history import story_of
from privacy.inspection import Finding, inspect
from privacy.reserving import Asked, Fits, enter
from privacy.stores import store_at

TIMEOUT = 60.0
"""Seconds to wait for another process that writes."""


@dataclass(frozen=True)
class Reservation:
    """A job's charge, on disk; `head` is the ledger's length and hash, for the run's record."""

    job_id: str
    owners: tuple[str, ...]
    head: tuple[int, str]


class Ledger:
    """The ledger in one file or database, shared by any number of processes.

    Every method raises InputError where it cannot be read or written, and Unsound, which is
    Refused, where it is not what was written. A key in a file of its own authenticates it: keep
    both (`backup`).

    Args:
        where: A SQLite file, or `postgresql://user@host/database`.
        timeout: Seconds to wait for another process that writes.
        key: The key's file, by default PATH.key; a database needs one named.
        anchors: What else remembers the ledger; asked before anything is granted or reserved.
    """

    def __init__(
        self,
        where: Path | str,
        timeout: float = TIMEOUT,
        *,
        key: Path | None = None,
        anchors: Reader | None = None,
    ) -> None:
        self._chain = Chain(store_at(where, timeout), key or Path(f"{where}.key"))
        self._anchors = anchors

    def grant(self, owner: str, epsilon: float, delta: float, source: str = "command") -> None:
        """Set what an owner allows in all, ever; a later grant replaces an earlier one.

        Raises:
            InputError: no owner, or ε or δ out of range.
            Refused: the owner has already spent more than this, at this δ; or the ledger is not
                what was written.
        """
        check_grant(owner, epsilon, delta)
        known = self._remembered()
        with self._chain.write() as book:
            self._check(book, known)
            account = read_accounts(book.entries).of(owner)
            check_grant(owner, epsilon, delta, account.size)
            spent = account.spent(delta)
            if spent > epsilon:
                raise Refused(
                    f"owner {owner} has spent ε {spent:.4g} at δ {delta:g}; "
                    f"a grant of ε {epsilon:g} would lie below that"
                )
            append_grant(book, owner, epsilon, delta, source)

    def reserve(
        self,
        job_id: str,
        owners: Mapping[str, Events],
        *,
        cut: Cut | None = None,
        grant: tuple[float, float] | None = None,
        sizes: Mapping[str, int] | None = None,
        records: Callable[[], Mapping[str, Records]] | None = None,
    ) -> Reservation:
        """Charge every owner, or none, before the first record is read.

        Asked again for the same, it is the same reservation: nobody is charged twice.

        Args:
            job_id: a name no job had before, or that of this job while it is reserved.
            owners: what the job will do to each owner's records, as `PrivacyPlan.events()` says.
            cut: how the records were cut into owners; it stays the same for every job charged.
            grant: ε and δ that the configuration brings, for owners who were never granted any.
            sizes: each owner's public number of records n; a δ of 1/n or more is refused.
            records: fingerprints of each owner's records; needs `cut`, and is called only once
                the budgets were found to suffice.

        Raises:
            Refused: there is no owner, one has granted nothing, or the charge does not fit; the
                message has the command that would allow it. Or others were charged for the records.
                Both are recorded. Or the records were cut otherwise before, or δ is too large; then
                nothing is written. Or the ledger is not what was written.
            InputError: the job is known already with another charge, or has ended; or a charge is
                empty or not understood.
        """
        asked, known = Asked(job_id, owners, cut, grant, sizes), self._remembered()
        unread = records is None or self._known_job(asked, known)
        return self._enter(asked, known, None if unread or records is None else records())

    def _known_job(self, asked: Asked, known: Sequence[Anchor]) -> bool:
        """Whether the job is reserved already; if not, its charge fits, at least for now."""
        try:
            self._enter(asked, known, None, only_try=True)
        except Fits:
            return False
        return True

    def _enter(
        self,
        asked: Asked,
        known: Sequence[Anchor],
        records: Mapping[str, Records] | None,
        *,
        only_try: bool = False,
    ) -> Reservation:
        with self._chain.write() as book:
            self._check(book, known)
            before = book.head
            refusals = enter(book, asked, records)
            head = book.head
            if only_try and not refusals and head != before:
                raise Fits
        if refusals:
            others = f" (and so for {len(refusals) - 1} more)" if len(refusals) > 1 else ""
            raise Refused(f"job {asked.job} refused: {refusals[0]}{others}")
        return Reservation(asked.job, tuple(asked.owners), head)

    def commit(self, job_id: str) -> None:
        """Record that a job ended, with all that it was charged again. Its charge stays.

        A committed job is left as it is.

        Raises:
            InputError: the job is unknown or was cancelled.
        """
        with self._chain.write() as book:
            accounts = read_accounts(book.entries)
            expect(accounts, job_id, "reserved", "committed")
            for name in accounts.charges_of(job_id):
                if accounts.jobs[name] == "reserved":
                    book.append("commit", job=name, detail={})

    def cancel(self, job_id: str, reason: str = "nothing was noised or released") -> None:
        """Give a reservation back. Only for a job that released nothing, which the caller vouches
        for and the ledger records.

        Raises:
            InputError: the job is not reserved, or was charged again, and so has released
                something; a committed one stays charged.
        """
        with self._chain.write() as book:
            accounts = read_accounts(book.entries)
            expect(accounts, job_id, "reserved")
            if len(accounts.charges_of(job_id)) > 1:
                raise InputError(f"job {job_id} was charged again, so its charge stays")
            book.append("cancel", job=job_id, detail={"reason": reason})

    def standing(self, job_id: str) -> Standing:
        """Where a job stands."""
        with self._chain.read() as book:
            return standing_of(read_accounts(book.entries), job_id)

    def charged(self, job_id: str) -> dict[str, list[dict[str, Any]]]:
        """Owner → all events that a job was charged for, those charged again included."""
        with self._chain.read() as book:
            return read_accounts(book.entries).charged(job_id)

    def budgets(self, owner: str | None = None) -> list[Budget]:
        """Every owner who granted anything, or one of them, by name.

        Raises:
            InputError: this owner granted nothing.
        """
        with self._chain.read() as book:
            found = read_accounts(book.entries).budgets(owner)
        if owner is not None and not found:
            raise InputError(f"owner {owner} is not in the ledger; {command(owner)}")
        return found

    def history(self, owner: str) -> list[Entry]:
        """All that concerns an owner, oldest first: grants, reservations, ends, refusals, losses.

        A reservation's detail holds its events and `epsilon_after`, the ε spent with it.

        Raises:
            InputError: the ledger never heard of this owner.
        """
        if lines := story_of(self.entries(), owner):
            return lines
        raise InputError(f"owner {owner} is not in the ledger; {command(owner)}")

    def separate(self, ledger: str, reason: str) -> None:
        """A person's word that runs or versions in the same MLflow store were paid by the ledger of
        another installation, and not by this one's past. It is recorded, and told by `verify`.

        Args:
            ledger: the other one's name.
            reason: what the person says.

        Raises:
            InputError: it is this ledger's name, nothing was paid by it, or there is no reason.
            Refused: a run of this very home was paid by it.
        """
        known = self._remembered()
        check_separate(self.name, ledger, reason, known)
        with self._chain.write() as book:
            self._check(book, [one for one in known if one.ledger == self.name])
            book.append("separate", detail={"ledger": ledger, "reason": reason})

    def entries(self) -> list[Entry]:
        """Everything that was written, oldest first, every link of the chain checked."""
        with self._chain.read() as book:
            return book.entries

    def head(self) -> tuple[int, str]:
        """The number of entries and the last one's hash."""
        with self._chain.read() as book:
            return book.head

    @property
    def name(self) -> str:
        """Tells this ledger from others, and nothing of its key."""
        return self._chain.name

    @property
    def where(self) -> str:
        """The file, or the address without a password."""
        return self._chain.where

    def verify(self, anchors: Sequence[Anchor] | None = None) -> list[Finding]:
        """All that is wrong with the ledger; nothing where it is sound.

        Args:
            anchors: What remembers it, by default what is asked before a reservation.
        """
        known = self._remembered() if anchors is None else anchors
        with self._chain.rows() as (rows, key, mark):
            return inspect(rows, key, self.name, mark, known)

    def backup(self, path: Path) -> int:
        """Write chain and key into one file, which `restoring.restore` takes; jobs may write on.

        Returns:
            The number of entries in it.

        Raises:
            InputError: the file cannot be written, or is one of the ledger's own.
            Unsound: the ledger is not what was written; a backup that was made before may be.
        """
        if path.resolve() in {own.resolve() for own in self._chain.files()}:
            raise InputError(f"{path}: belongs to the ledger itself; name another file")
        known = self._remembered()
        with self._chain.rows() as (rows, key, mark):
            book = Book(rows, key)
            self._chain.check_mark(book, mark)
            self._check(book, known)
            kept = [(row, rows.payload(row[0])) for row in rows.all()]
        backup.save(path, key, kept)
        return len(kept)

    def _remembered(self) -> Sequence[Anchor]:
        return self._anchors(self.name) if self._anchors else ()

    def _check(self, book: Book, known: Sequence[Anchor]) -> None:
        check(self.where, self.name, book, known)
        if book.unmarked:
            confirm(self.where, self.name, book, known)
