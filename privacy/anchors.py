"""What the world outside remembers of the ledger.

After each job the ledger's head is written into the run and the model version that it paid for. A
head commits to every entry before it, so that whoever shortens the ledger, puts an older copy of it
back (key and high-water mark included) or makes it anew with the key contradicts those.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from privacy.chain import MEND, Book, Unsound


@dataclass(frozen=True)
class Anchor:
    """A head of the ledger, as something it paid for remembers it.

    Attributes:
        ledger: Which one, see `key.name_of`.
        length: Number of entries.
        head: Hash of the last.
        where: What remembers it, such as `run 1f3a…`.
    """

    ledger: str
    length: int
    head: str
    where: str


Reader = Callable[[str], Sequence[Anchor]]
"""A ledger's name → anchors of it, and of any other ledger that paid for this installation."""


def missing(name: str, book: Book, anchors: Iterable[Anchor]) -> list[Anchor]:
    """Those that do not fit the ledger called `name`, the one that knows most first."""
    settled = book.settled()
    wrong = [
        anchor
        for anchor in anchors
        if anchor.length and anchor.head not in settled
        if anchor.ledger != name or not book.holds(anchor.length, anchor.head)
    ]
    return sorted(wrong, key=lambda anchor: -anchor.length)


def check(where: str, name: str, book: Book, anchors: Iterable[Anchor]) -> None:
    """Raises Unsound unless every anchor fits."""
    if wrong := missing(name, book, anchors):
        first, more = wrong[0], len(wrong) - 1
        raise Unsound(
            f"ledger {where}: {first.where}{f' and {more} more' if more else ''} was paid with its "
            f"entry {first.length}, which is not among the {len(book.entries)} found; {MEND}"
        )
