"""What is wrong with a ledger, in words: its chain is walked, then held against who remembers it.

- edited: an entry's content is not what was written;
- removed: entries in the middle are missing, their successors renumbered or not;
- reordered: an entry stands in another's place;
- truncated: the high-water mark beside the key knows entries that the end of the ledger lacks;
- restored: ledger, key and mark agree, and runs were paid with entries that come after: an older
  copy was put back;
- unmarked: the high-water mark is gone, so that nothing beside the key knows where the ledger ends;
- rewritten: an entry that a run, a version or the mark knows has another hash, or another key: the
  chain was made anew from there.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from privacy.anchors import Anchor, either, missing
from privacy.chain import GENESIS, Book, entry_of, link_of
from privacy.mark import Mark
from privacy.stores import Row, Rows

Kind = Literal["edited", "removed", "reordered", "truncated", "restored", "unmarked", "rewritten"]
_FARTHEST = 64  # so many removed or exchanged entries are recognised as such


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: See the module.
        number: Of the first entry concerned.
        said: In a line.
        known_by: Runs, versions or the mark that contradict the ledger.
    """

    kind: Kind
    number: int
    said: str
    known_by: tuple[str, ...] = ()


def inspect(
    rows: Rows, key: bytes, name: str, mark: Mark | None, anchors: Sequence[Anchor]
) -> list[Finding]:
    """All that is wrong, entry by entry; nothing where the ledger is sound."""
    every = list(rows.all())
    findings = [*_walk(every, key), *_payloads(every, rows)]
    book = _Found(every) if findings else Book(rows, key)
    found = [Anchor(name, mark.length, mark.head, "the mark beside its key")] if mark else []
    beyond = missing(name, book, [*found, *anchors])
    last = every[-1][0] if every else 0
    marked = bool(missing(name, book, found))
    unmarked = _unmarked(last, name, anchors) if mark is None else []
    return [*findings, *unmarked, *_remembered(last, name, beyond, marked)]


class _Found(Book):
    """A chain that is broken already: who remembers one of its hashes, wherever it stands, does not
    contradict it."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.entries = [entry for entry in map(entry_of, rows) if entry is not None]
        self.hashes = [str(row[6]) for row in rows]

    def holds(self, length: int, head: str) -> bool:
        """Whether the entry of this hash stands anywhere."""
        return length == 0 or head in self.hashes


def _remembered(count: int, name: str, beyond: list[Anchor], marked: bool) -> list[Finding]:
    """Findings from what contradicts the ledger; one of each kind, one for each other ledger."""
    gone = [one for one in beyond if one.ledger == name and one.length > count]
    other = [one for one in beyond if one not in gone]
    findings = []
    if gone:
        most = gone[0].length
        said = (
            f"entries {count + 1} to {most} are missing at the end"
            if marked
            else f"an older copy was put back, key and mark included: it ends with entry {count}, "
            f"and {most} were written"
        )
        findings.append(Finding("truncated" if marked else "restored", count + 1, said, _who(gone)))
    for ledger in dict.fromkeys(one.ledger for one in other):
        theirs = [one for one in other if one.ledger == ledger]
        first = min(theirs, key=lambda one: one.length)
        said = f"the chain was made anew: its entries are not those up to {first.length} that were "
        said += (
            "paid with" if ledger == name else f"paid with, by ledger {ledger}; {either(ledger)}"
        )
        findings.append(Finding("rewritten", first.length, said, _who(theirs)))
    return findings


def _unmarked(count: int, name: str, anchors: Sequence[Anchor]) -> list[Finding]:
    """What a missing mark means: what the anchors know is all that is known of the end."""
    most = max((one.length for one in anchors if one.ledger == name), default=0)
    said = "the file .head beside the key is missing: whether entries were cut off after "
    said += f"{most} is not known" if most else f"{count} is not known, and nothing is spent"
    return [Finding("unmarked", most or count, said)]


def _who(anchors: list[Anchor]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(anchor.where for anchor in anchors))


def _walk(rows: list[Row], key: bytes) -> list[Finding]:
    """Follow the links; after a break, go on from the hash that stands there."""
    findings: list[Finding] = []
    wrong: list[int] = []
    previous, expected, moved = GENESIS, 1, 0
    for place, row in enumerate(rows):
        if row[0] > expected:
            findings.append(_removed(expected, row[0] - expected, "the numbers after them stand"))
        elif not _links(key, previous, row, row[0] + moved):
            further = _renumbered(rows, place, key, moved)
            if further:
                said = "the rest were renumbered"
                findings.append(_removed(row[0], further - moved, said))
                moved = further
            else:
                wrong.append(place)
        previous, expected = row[6], row[0] + 1
    if wrong and len(wrong) == len(rows):
        said = "no entry fits the key: the key is another ledger's, or the chain was made with one"
        return [Finding("rewritten", 1, said)]
    return [*findings, *_misplaced(rows, wrong, key)]


def _removed(first: int, count: int, rest: str) -> Finding:
    said = f"{count} {'entry is' if count == 1 else 'entries are'} missing from {first} on; {rest}"
    return Finding("removed", first, said)


def _links(key: bytes, previous: str, row: Row, number: int) -> bool:
    entry = entry_of(row)
    return entry is not None and link_of(key, previous, replace(entry, number=number)) == row[6]


def _renumbered(rows: list[Row], place: int, key: bytes, moved: int) -> int:
    """By how much the numbers from here on are too small, as the next entry tells; 0: they are
    not."""
    if place + 1 == len(rows):
        return 0
    row, after = rows[place], rows[place + 1]
    further = range(moved + 1, moved + _FARTHEST)
    return next((by for by in further if _links(key, row[6], after, after[0] + by)), 0)


def _misplaced(rows: list[Row], wrong: list[int], key: bytes) -> list[Finding]:
    """Tell entries that stand elsewhere from those that were changed."""
    few = wrong[:_FARTHEST]
    numbers = [rows[place][0] for place in few]
    links = [rows[place][6] for at in few for place in (at, at - 1) if place >= 0] + [GENESIS]
    findings = []
    for place in wrong:
        row = rows[place]
        true = next((n for n in numbers for link in links if _links(key, link, row, n)), None)
        if true is None:
            findings.append(Finding("edited", row[0], f"entry {row[0]} is not what was written"))
        elif true != row[0]:
            said = f"entry {true} stands in the place of entry {row[0]}"
            findings.append(Finding("reordered", row[0], said))
    return findings


def _payloads(rows: list[Row], store: Rows) -> list[Finding]:
    """Fingerprints that are not those whose digest the entry holds."""
    findings = []
    for row in rows:
        entry = entry_of(row)
        if entry is not None and "sha256" in entry.detail:
            payload = store.payload(row[0]) or b""
            if hashlib.sha256(payload).hexdigest() != entry.detail["sha256"]:
                said = f"the fingerprints kept with entry {row[0]} are not those that were written"
                findings.append(Finding("edited", row[0], said))
    return findings
