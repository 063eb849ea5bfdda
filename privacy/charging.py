"""What is checked before a line of the ledger is written, and what is said when it is not."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from domains.errors import InputError
from privacy.accounting import check_delta, delta_used, epsilon_of
from privacy.accounts import Account, Accounts, Cut, Standing
from privacy.chain import Book

Events = Sequence[dict[str, Any]]

_FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # by which a δ that is short may be raised


def standing_of(accounts: Accounts, job_id: str) -> Standing:
    """Where a job stands."""
    return accounts.jobs.get(job_id, "unknown")


def expect(accounts: Accounts, job_id: str, *expected: Standing) -> None:
    """Raises InputError unless a job stands where it is expected to."""
    found = standing_of(accounts, job_id)
    if found not in expected:
        said = " or ".join(expected)
        raise InputError(f"job {job_id} is {found} in the ledger, expected {said}")


def check_same(
    accounts: Accounts, job_id: str, owners: Mapping[str, Events], cut: Cut | None
) -> None:
    """Raises InputError unless a known job is reserved, for exactly this."""
    found = standing_of(accounts, job_id)
    if found != "reserved":
        raise InputError(f"job {job_id} is {found} in the ledger already")
    if not accounts.asks_the_same(job_id, owners, cut):
        raise InputError(f"job {job_id} is reserved in the ledger already, for another charge")


def record(
    book: Book,
    accounts: Accounts,
    job_id: str,
    owners: Mapping[str, Events],
    sizes: Mapping[str, int],
) -> list[str]:
    """Write all reservations, or the refusals alone; returns the reasons of those."""
    after, refusals = {}, {}
    for owner, events in owners.items():
        account = accounts.of(owner)
        account.size = max(account.size, sizes.get(owner, 0))
        after[owner] = account.spent(account.delta, events) if account.granted else math.inf
        if not (account.granted and after[owner] <= account.epsilon):
            refusals[owner] = _refusal(account, events, after[owner], accounts.lost)
    for owner, reason in refusals.items():
        book.append("refuse", job=job_id, owner=owner, detail={"reason": reason})
    for owner, events in owners.items() if not refusals else ():
        size = {"size": sizes[owner]} if owner in sizes else {}
        detail = {"events": list(events), "epsilon_after": after[owner], **size}
        book.append("reserve", job=job_id, owner=owner, detail=detail)
    return list(refusals.values())


def _refusal(account: Account, events: Events, after: float, lost: bool) -> str:
    if not account.granted:
        why = " (entries were lost, so no configuration grants for it)" if lost else ""
        return f"owner {account.owner} has granted nothing{why}; {command(account.owner)}"
    if math.isinf(after):
        return f"{_delta_short(account, events)}; {_remedy(account, events)}"
    return (
        f"owner {account.owner} granted ε {account.epsilon:g} at δ {account.delta:g}, "
        f"spent {account.spent(account.delta):.4g}, and the job asks "
        f"{epsilon_of(events, account.delta):.4g} ({after:.4g} together): ε is short; "
        f"{_remedy(account, events)}"
    )


def _delta_short(account: Account, events: Events) -> str:
    used, asked = delta_used(account.events()), delta_used(events)
    return (
        f"owner {account.owner} granted ε {account.epsilon:g} at δ {account.delta:g}, of which δ "
        f"{used:.3g} is used up, and the job asks δ {asked:.3g} more: δ is short, whatever the ε"
    )


def _remedy(account: Account, events: Events) -> str:
    """The grant that would do, with no less ε than before and a δ below 1/n; or that there is
    none."""
    for factor in _FACTORS:
        delta = float(f"{factor * account.delta:.3g}")
        if delta >= 1.0 or delta * account.size >= 1.0:
            break
        epsilon = account.spent(delta, events)
        if not math.isinf(epsilon):
            needed = max(account.epsilon, math.ceil(100 * epsilon) / 100)
            unknown = f" where {delta:g} is below 1 / the number of its records"
            note = unknown if factor > 1 and not account.size else ""
            return command(account.owner, f"{needed:g}", f"{delta:g}") + note
    most = f"1/{account.size}" if account.size else "1"
    return (
        f"its δ is used up: none below {most} covers the past and this job, and a larger one would "
        "allow publishing a whole record; declare bounds, categories or types of every column, "
        "and where that does not help these records are spent"
    )


def command(owner: str, epsilon: str = "E", delta: str = "D") -> str:
    """What to type to allow it."""
    line = f"careledger budget grant {shlex.quote(owner)} --epsilon {epsilon} --delta {delta}"
    return f"to allow it: {line}"


def open_accounts(
    book: Book, accounts: Accounts, owners: Iterable[str], epsilon: float, delta: float
) -> None:
    """The grant a configuration brings: written only for owners who were never granted any.

    Where entries were lost, an unknown owner may have spent before: only the owner's own word
    opens an account then.
    """
    for owner in owners:
        check_grant(owner, epsilon, delta)
        if not (accounts.of(owner).granted or accounts.lost):
            append_grant(book, owner, epsilon, delta, "configuration")


def append_grant(book: Book, owner: str, epsilon: float, delta: float, source: str) -> None:
    """Write a grant; it replaces an earlier one."""
    detail = {"epsilon": float(epsilon), "delta": float(delta), "source": source}
    book.append("grant", owner=owner, detail=detail)


def check_grant(owner: str, epsilon: float, delta: float, size: int = 0) -> None:
    """Raises InputError where nobody, or nothing, could be granted so.

    Args:
        owner, epsilon, delta: the grant.
        size: the owner's public number of records, where it is known.
    """
    if not owner.strip():
        raise InputError("owner: found an empty name, expected DATA or DATA/CLIENT")
    if not 0.0 < epsilon < math.inf:
        raise InputError(f"epsilon: found {epsilon}, expected a positive number")
    check_delta(delta)
    if delta * size >= 1.0:
        raise InputError(
            f"delta: found {delta:g} for {owner}, which was charged for {size} records, expected "
            f"below 1/{size}: a larger one allows publishing a whole record"
        )
