"""Whose records are known already, so that a new name for old records buys no new budget.

Fingerprints are kept by owner, beside the job that was charged for the records; those of a job that
was given back count no more. Records that another owner was charged for are refused, whatever the
names of the data: the budget they spend is that owner's. What a ledger from before fingerprints
were kept by owner holds is known by the name of the data alone: to an owner who was charged under
that name it is his own, to every other one somebody else's.

A few records may be alike by chance: ten, or one in a hundred of the smaller of the two. Where rows
say so little that the charged owners of one data share a part of theirs, twice that part may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from domains.errors import Refused
from privacy.accounts import Accounts
from privacy.chain import Book, Entry
from privacy.fingerprints import Prints, Records

FEW_SHARED = 10  # records that two unrelated owners may have in common by chance
SHARE = 0.01  # of the smaller one's, likewise
_ALIKE = 2.0  # times the part that charged owners of the same data have in common


@dataclass(frozen=True)
class _Holder:
    """Who was charged for records; `owner` is None where only the data's name is known."""

    data: str
    owner: str | None

    @property
    def name(self) -> str:
        return self.owner or self.data


@dataclass
class _Found:
    """What one owner brings that another was charged for."""

    owner: str
    brought: int
    shared: dict[int, int]  # place of the holder → records, each counted for its first holder


class Known:
    """All records that somebody was charged for.

    Args:
        book: The ledger.
        accounts: What its entries mean.
        data: The name of the data that a job brings.
    """

    def __init__(self, book: Book, accounts: Accounts, data: str) -> None:
        self._data, self._accounts = data, accounts
        entries = [entry for entry in book.entries if self._counts(entry)]
        holders = dict.fromkeys(map(_holder, entries))
        self._holders = sorted(holders, key=lambda one: one.owner is None)  # who says more first
        self._sizes = [0] * len(self._holders)
        self._place = {holder: number for number, holder in enumerate(self._holders)}
        payloads, places = [], []
        for entry in entries:
            holder, payload = self._place[_holder(entry)], np.frombuffer(book.payload(entry), "<u8")
            self._sizes[holder] += int(entry.detail["records"])
            payloads.append(payload)
            places.append(np.full(len(payload), holder))
        none: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        held = np.concatenate([*places, *none])
        numbers = np.concatenate([*payloads, np.zeros(0, dtype=np.uint64)])
        self._numbers, ids = np.unique(numbers, return_inverse=True)
        self._pairs = np.unique(ids * max(1, len(self._holders)) + held)

    def check(self, brought: Mapping[str, Records]) -> None:
        """Raises Refused where others were charged for more of these records than chance has it."""
        found = [self._found(owner, records) for owner, records in brought.items()]
        wrong = [(one, place) for one in found for place in one.shared if self._many(one, place)]
        total, all_brought = sum(sum(one.shared.values()) for one in found), _size(found)
        if not wrong and total > self._allowed(all_brought, sum(self._sizes), self._alike):
            wrong = [(one, place) for one in found for place in one.shared]
        if wrong:
            raise Refused(self._refusal(wrong))

    def new(self, owner: str, records: Records) -> tuple[int, Prints]:
        """How many of an owner's records are not kept as its own yet, and their fingerprints."""
        fresh = [way[~self._held(way, owner)] for way in records]
        return max(map(len, fresh), default=0), np.unique(np.concatenate([*fresh, _NOTHING]))

    def _counts(self, entry: Entry) -> bool:
        standing = self._accounts.jobs.get(str(entry.job), "committed")
        return entry.kind == "records" and standing != "cancelled"

    def _found(self, owner: str, records: Records) -> _Found:
        """The way of fingerprinting that finds most counts."""
        ways = [self._others(owner, way) for way in records]
        most = max(ways, key=len, default=np.zeros(0, dtype=np.int64))
        places, counts = np.unique(most, return_counts=True)
        shared = dict(zip(places.tolist(), counts.tolist(), strict=True))
        return _Found(owner, max(map(len, records), default=0), shared)

    def _others(self, owner: str, way: Prints) -> NDArray[np.int64]:
        """Holders of the records that are not the owner's own."""
        first = self._first_holders(way[~self._held(way, owner)])
        if self._accounts.of(owner).events():  # of what only the data's name is known, his own too
            first = first[first != self._place.get(_Holder(self._data, None), -1)]
        return first

    def _held(self, way: Prints, owner: str) -> NDArray[np.bool_]:
        """Which of these are the owner's."""
        holder = self._place.get(_Holder(self._data, owner))
        if holder is None:
            return np.zeros(len(way), dtype=bool)
        known, ids = self._known(way)
        code = ids * len(self._holders) + holder
        return known & (_at(self._pairs, np.searchsorted(self._pairs, code)) == code)

    def _first_holders(self, way: Prints) -> NDArray[np.int64]:
        known, ids = self._known(way)
        every = max(1, len(self._holders))
        first = np.searchsorted(self._pairs, ids[known] * every)
        return np.asarray(self._pairs[first] % every, dtype=np.int64)

    def _known(self, way: Prints) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        ids = np.searchsorted(self._numbers, way)
        return _at(self._numbers, ids) == way if len(self._numbers) else way < 0, ids

    def _many(self, one: _Found, place: int) -> bool:
        alike = self._alike if self._holders[place].data == self._data else 0.0
        allowed = self._allowed(one.brought, self._sizes[place], alike)
        return one.shared[place] > allowed

    def _allowed(self, brought: int, held: int, alike: float) -> float:
        return max(FEW_SHARED, SHARE * min(brought, held), _ALIKE * alike * brought)

    @cached_property
    def _alike(self) -> float:
        """Which part of their records the charged owners of this data have in common."""
        every = len(self._holders)
        mine = [p for p, one in enumerate(self._holders) if one.owner and one.data == self._data]
        chosen = np.isin(self._pairs % max(1, every), mine)
        _, counts = np.unique(self._pairs[chosen] // max(1, every), return_counts=True)
        return float(np.mean(counts > 1)) if len(counts) else 0.0

    def _refusal(self, wrong: list[tuple[_Found, int]]) -> str:
        one, place = max(wrong, key=lambda each: each[0].shared[each[1]])
        holder, count = self._holders[place], one.shared[place]
        others = len({each.owner for each, _ in wrong}) - 1
        more = f" (and so for {others} more)" if others else ""
        whose = "whose budget they spend" if holder.owner is None else "who was charged for them"
        what = "data" if holder.owner is None else "data and owner"
        return (
            f"{count} records of {one.owner} are known under the name {holder.name}, "
            f"{whose}{more}; name {what} as before"
        )


_NOTHING: Prints = np.zeros(0, dtype=np.uint64)


def remember(book: Book, known: Known, job: str, data: str, brought: Mapping[str, Records]) -> None:
    """Write down the fingerprints that these owners have not brought yet, beside their job."""
    for owner, records in brought.items():
        count, new = known.new(owner, records)
        if len(new):
            detail = {"data": data, "records": count}
            book.append("records", job=job, owner=owner, detail=detail, payload=new.tobytes())


def _holder(entry: Entry) -> _Holder:
    return _Holder(str(entry.detail["data"]), entry.owner)


def _size(found: list[_Found]) -> int:
    return sum(one.brought for one in found)


def _at(values: NDArray[np.generic], places: NDArray[np.intp]) -> NDArray[np.generic]:
    """Values at places, the last one for a place beyond the end."""
    return values[np.minimum(places, len(values) - 1)]
