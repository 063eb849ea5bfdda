"""Whose records are known already, so that a new name for old records buys no new budget.

Fingerprints are kept by owner, and count while any charge of that owner stands. Records that
another owner was charged for are refused, whatever the names of the data: the budget they spend is
that owner's. What a ledger from before fingerprints were kept by owner holds is known by the name
of the data alone: to an owner who was charged under that name it is his own, to every other one
somebody else's.

Not every row that two hold is a record that two hold. Rows that an owner brings more than once in
one file tell no record from another: they are kept for nobody. Of the rest a few may be alike by
chance: ten, or one in a hundred of the smaller of the two; and between owners who were charged
under one data name already, twice the part that such owners have in common, at most one in ten. In
all, over all jobs and names, a hundred of an owner's records may come under other names, no more. A
file whose owners share most of their rows is refused as it is.

A refusal says no number, and the ledger keeps it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.accounts import Accounts
from privacy.chain import Book, Entry
from privacy.fingerprints import Prints, Records

FEW_SHARED = 10  # records that two unrelated owners may have in common by chance
SHARE = 0.01  # of the smaller one's, likewise
EVER_SHARED = 100  # of one owner's records under other names, over all jobs
MOST_ALIKE = 0.1  # of what an owner brings, where charged owners of the same data are alike
_ALIKE = 2.0  # times the part that charged owners of the same data have in common
_MOST = 0.5  # of an owner's records that are another owner's of the same file too
_NOTHING: Prints = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Recognised:
    """Why records are refused, and whose name they came under."""

    owner: str
    reason: str


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
    alike: float  # which part of it may be alike with owners of the same data
    shared: dict[int, int]  # place of the holder → records, each counted for its first holder


class Known:
    """All records that somebody was charged for, and those that a job brings.

    Args:
        book: The ledger.
        accounts: What its entries mean.
        data: The name of the data that a job brings.
        brought: Its owners' records.
    """

    def __init__(
        self, book: Book, accounts: Accounts, data: str, brought: Mapping[str, Records]
    ) -> None:
        self._data, self._accounts, self._brought = data, accounts, brought
        entries = [entry for entry in book.entries if self._counts(entry)]
        holders = dict.fromkeys(map(_holder, entries))
        self._holders = sorted(holders, key=lambda one: one.owner is None)  # who says more first
        self._sizes = [0] * len(self._holders)
        self._let_pass: Counter[str] = Counter()  # records of these holders, under other names
        self._place = {holder: number for number, holder in enumerate(self._holders)}
        payloads, places = [], []
        for entry in entries:
            holder, payload = self._place[_holder(entry)], np.frombuffer(book.payload(entry), "<u8")
            self._sizes[holder] += int(entry.detail["records"])
            self._let_pass.update(entry.detail.get("shared", {}))
            payloads.append(payload)
            places.append(np.full(len(payload), holder))
        none: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
        held = np.concatenate([*places, *none])
        numbers = np.concatenate([*payloads, _NOTHING])
        self._numbers, ids = np.unique(numbers, return_inverse=True)
        self._pairs = np.unique(ids * max(1, len(self._holders)) + held)

    def refusal(self) -> Recognised | None:
        """Why not, where others were charged for more of these records than chance has it, or
        where the owners of the file share most of theirs."""
        if (owner := _not_its_own(self._brought)) is not None:
            return Recognised(
                owner,
                f"most records of {owner} stand in the same file under another owner's name too; "
                "each record has one owner: mend the column that names them",
            )
        found = list(self._found.values())
        wrong = [(one, place) for one in found for place in one.shared if self._many(one, place)]
        total, allowed = sum(sum(one.shared.values()) for one in found), self._allowed(found)
        if not wrong and total > allowed:
            wrong = [(one, place) for one in found for place in one.shared]
        return self._recognised(*wrong[0]) if wrong else None

    def new(self, owner: str) -> tuple[int, Prints, dict[str, int]]:
        """How many of an owner's records are not kept as its own yet, their fingerprints, and how
        many of which other holders are let pass. A row that stands more than once in the file
        is kept only where somebody else holds it, so that it is counted once against that."""
        fresh = [self._fresh(way, owner) for way in self._brought[owner]]
        shared = {self._holders[at].name: n for at, n in self._found[owner].shared.items()}
        return (
            max(map(len, fresh), default=0),
            np.unique(np.concatenate([*fresh, _NOTHING])),
            shared,
        )

    def _fresh(self, way: Prints, owner: str) -> Prints:
        rows, once = _distinct(way)
        telling = once | self._known(rows)[0]
        return rows[telling & ~self._held(rows, owner)]

    def _counts(self, entry: Entry) -> bool:
        if entry.kind != "records":
            return False
        if entry.owner is None:
            return self._accounts.jobs.get(str(entry.job), "committed") != "cancelled"
        return self._charged(entry.owner)

    def _charged(self, owner: str) -> bool:
        """Whether any charge of an owner stands."""
        account = self._accounts.of(owner)
        return bool(account.charges or account.bound)

    @cached_property
    def _found(self) -> dict[str, _Found]:
        return {owner: self._find(owner, records) for owner, records in self._brought.items()}

    def _find(self, owner: str, records: Records) -> _Found:
        """The way of fingerprinting that finds most counts."""
        ways = [_distinct(way)[0] for way in records]
        others = [self._others(owner, way) for way in ways]
        most = max(others, key=len, default=np.zeros(0, dtype=np.int64))
        places, counts = np.unique(most, return_counts=True)
        shared = dict(zip(places.tolist(), counts.tolist(), strict=True))
        alike = self._alike if shared and self._charged(owner) else 0.0
        return _Found(owner, max(map(len, ways), default=0), alike, shared)

    def _others(self, owner: str, way: Prints) -> NDArray[np.int64]:
        """Holders of the records that are not the owner's own."""
        first = self._first_holders(way[~self._held(way, owner)])
        if self._charged(owner):  # of what only the data's name is known, his own too
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
        return _is_at(self._numbers, ids, way), ids

    def _many(self, one: _Found, place: int) -> bool:
        holder = self._holders[place]
        alike = one.alike if holder.data == self._data else 0.0
        ever = self._let_pass[holder.name] + self._under_other_names[place]
        allowed = max(_by_chance(one.brought, self._sizes[place]), alike * one.brought)
        return one.shared[place] > allowed or ever > EVER_SHARED

    @cached_property
    def _under_other_names(self) -> Counter[int]:
        """Place of a holder → its records in this job, whoever brings them."""
        total: Counter[int] = Counter()
        for one in self._found.values():
            total.update(one.shared)
        return total

    def _allowed(self, found: list[_Found]) -> float:
        """Of all that a job brings."""
        alike = sum(one.alike * one.brought for one in found)
        return max(_by_chance(sum(one.brought for one in found), sum(self._sizes)), alike)

    @cached_property
    def _alike(self) -> float:
        """Which part of an owner's records may be those of charged owners of this data."""
        every = len(self._holders)
        mine = [p for p, one in enumerate(self._holders) if one.owner and one.data == self._data]
        chosen = np.isin(self._pairs % max(1, every), mine)
        _, counts = np.unique(self._pairs[chosen] // max(1, every), return_counts=True)
        common = float(np.mean(counts > 1)) if len(counts) else 0.0
        return min(_ALIKE * common, MOST_ALIKE)

    def _recognised(self, one: _Found, place: int) -> Recognised:
        holder = self._holders[place]
        whose = "whose budget they spend" if holder.owner is None else "who was charged for them"
        what = "data" if holder.owner is None else "data and owner"
        return Recognised(
            one.owner,
            f"more records of {one.owner} than chance has it are known under the name "
            f"{holder.name}, {whose}; name {what} as before",
        )


def remember(book: Book, known: Known, job: str, data: str, owners: Iterable[str]) -> None:
    """Write down the fingerprints that these owners have not brought yet, beside their job."""
    for owner in owners:
        count, new, shared = known.new(owner)
        if len(new):
            detail = {"data": data, "records": count, **({"shared": shared} if shared else {})}
            book.append("records", job=job, owner=owner, detail=detail, payload=new.tobytes())


def _not_its_own(brought: Mapping[str, Records]) -> str | None:
    """An owner most of whose records are other owners' of the same file too; rows that those bring
    more than once tell nothing."""
    held = [_merged(*map(_once, ways)) for ways in brought.values()]
    every = _sorted(*held)
    common, _ = _distinct(every[1:][every[1:] == every[:-1]])
    for owner, ways in brought.items():
        for rows, _ in map(_distinct, ways if len(common) else ()):
            shared = _is_at(common, np.searchsorted(common, rows), rows).sum()
            if shared > max(FEW_SHARED, _MOST * len(rows)):
                return owner
    return None


def _distinct(way: Prints) -> tuple[Prints, NDArray[np.bool_]]:
    """Each of these ascending rows once, and whether it stood there once."""
    first = np.append(True, way[1:] != way[:-1])[: len(way)]
    return way[first], np.append(first[1:], True)[: len(way)][first]


def _sorted(*ways: Prints) -> Prints:
    """Rows of these ascending ways, ascending."""
    return np.sort(np.concatenate([*ways, _NOTHING]), kind="stable")


def _merged(*ways: Prints) -> Prints:
    return _distinct(_sorted(*ways))[0]


def _once(way: Prints) -> Prints:
    rows, once = _distinct(way)
    return rows[once]


def _by_chance(brought: int, held: int) -> float:
    return max(FEW_SHARED, SHARE * min(brought, held))


def _holder(entry: Entry) -> _Holder:
    return _Holder(str(entry.detail["data"]), entry.owner)


def _is_at(held: Prints, places: NDArray[np.intp], rows: Prints) -> NDArray[np.bool_]:
    """Whether these rows stand at these places."""
    return _at(held, places) == rows if len(held) else np.zeros(len(rows), dtype=bool)


def _at(values: NDArray[np.generic], places: NDArray[np.intp]) -> NDArray[np.generic]:
    """Values at places, the last one for a place beyond the end."""
    return values[np.minimum(places, len(values) - 1)]
