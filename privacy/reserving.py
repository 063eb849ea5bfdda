"""What is asked and written when a job reserves its charge, in one transaction of the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass

from domains.errors import InputError, Refused
from privacy.accounts import Accounts, Cut, check_cut, read_accounts
from privacy.chain import Book
from privacy.charging import Events, check_same, open_accounts, record
from privacy.fingerprints import Records
from privacy.known_records import Known, remember


@dataclass(frozen=True)
class Asked:
    """One job's charge; see `Ledger.reserve`."""

    job: str
    owners: Mapping[str, Events]
    cut: Cut | None = None
    grant: tuple[float, float] | None = None
    sizes: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if not self.owners:
            raise Refused(f"job {self.job} names no owner to charge, so it may not read any record")
        if not all(self.owners.values()):
            raise InputError(f"job {self.job}: an owner's charge is empty, expected privacy events")


class Fits(Exception):
    """The charge would be taken; whatever was written to find out is taken back."""


def enter(book: Book, asked: Asked, brought: Mapping[str, Records] | None) -> list[str]:
    """Charge every owner and remember the records, or write refusals alone; returns their reasons.

    That others were charged for the records is such a refusal: whoever asks whether they are known
    finds it out by an entry that stays, and nobody is granted anything.

    Raises:
        Refused: the records were cut otherwise before, or a grant's δ is too large for its owner;
            then nothing is written.
        InputError: the job is known already with another charge, or has ended.
    """
    accounts = read_accounts(book.entries)
    if asked.job in accounts.jobs:
        check_same(accounts, asked.job, asked.owners, asked.cut)
        return []
    if asked.cut is not None:
        check_cut(accounts, asked.cut)
    known = Known(book, accounts, asked.cut.name, brought) if asked.cut and brought else None
    if known and (found := known.refusal()):
        book.append("refuse", job=asked.job, owner=found.owner, detail={"reason": found.reason})
        return [found.reason]
    _check_deltas(accounts, asked)
    if asked.grant is not None:
        open_accounts(book, accounts, asked.owners, *asked.grant)
        accounts = read_accounts(book.entries)
    refusals = record(book, accounts, asked.job, asked.owners, asked.sizes or {})
    if asked.cut is not None and not refusals:
        book.append("cut", job=asked.job, detail=asked.cut.detail())
        if known and brought:
            remember(book, known, asked.job, asked.cut.name, brought)
    return refusals


def _check_deltas(accounts: Accounts, asked: Asked) -> None:
    """A δ of 1/n or more allows publishing one of an owner's n records as it is."""
    for owner, size in (asked.sizes or {}).items():
        account = accounts.of(owner)
        brought = asked.grant[1] if asked.grant and not accounts.lost else 0.0
        delta = account.delta if account.granted else brought
        if delta * size < 1.0:
            continue
        below = f"expected below 1/{size}: a larger one allows publishing a whole record"
        if not account.granted:
            raise InputError(
                f"privacy.grant.delta: found {delta:g} with {size} records of {owner}, {below}"
            )
        raise Refused(
            f"owner {owner} has {size} records and granted δ {delta:g}, {below}; grant it anew, "
            f"with a smaller --delta: careledger budget grant"
        )
