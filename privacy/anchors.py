"""What the world outside remembers of the ledger.

After each job the ledger's head is written into the run and the model version that it paid for. A
head commits to every entry before it, so that whoever shortens the ledger, puts an older copy of it
back (key and high-water mark included) or makes it anew with the key contradicts those. So does
whoever begins another one beside them: what a store remembers of a ledger that is not this one
counts as this one's lost past, wherever the home has moved, until a person says that it is another
installation's (`Ledger.separate`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from domains.errors import InputError, Refused
from privacy.chain import MEND, Book, Unsound


@dataclass(frozen=True)
class Anchor:
    """A head of the ledger, as something it paid for remembers it.

    Attributes:
        ledger: Which one, see `key.name_of`.
        length: Number of entries.
        head: Hash of the last.
        where: What remembers it, such as `run 1f3a…`.
        here: Whether it is a run of this very home.
    """

    ledger: str
    length: int
    head: str
    where: str
    here: bool = False


Reader = Callable[[str], Sequence[Anchor]]
"""A ledger's name → anchors of it, and of every other ledger that paid for something in the same
store."""


def missing(name: str, book: Book, anchors: Iterable[Anchor]) -> list[Anchor]:
    """Those that do not fit the ledger called `name`, the one that knows most first; another
    ledger's do not, unless a person said that it is another installation's."""
    settled, others = book.settled(), book.separate()
    wrong = [
        anchor
        for anchor in anchors
        if anchor.length and anchor.head not in settled and anchor.ledger not in others
        if anchor.ledger != name or not book.holds(anchor.length, anchor.head)
    ]
    return sorted(wrong, key=lambda anchor: -anchor.length)


def check(where: str, name: str, book: Book, anchors: Iterable[Anchor]) -> None:
    """Raises Unsound unless every anchor fits."""
    if not (wrong := missing(name, book, anchors)):
        return
    first, more = wrong[0], len(wrong) - 1
    paid = f"ledger {where}: {first.where}{f' and {more} more' if more else ''} was paid "
    if first.ledger != name:
        raise Unsound(
            f"{paid}by ledger {first.ledger}, and this is {name}, see `careledger budget verify`; "
            f"{either(first.ledger)}"
        )
    raise Unsound(
        f"{paid}with its entry {first.length}, which is not among the {len(book.entries)} found; "
        f"{MEND}"
    )


def either(ledger: str) -> str:
    """What to do about another ledger that paid for something here."""
    return (
        "if it was this installation's and was lost: careledger budget restore FILE; if another "
        "installation with a ledger of its own shares this MLflow store: careledger budget "
        f"separate {ledger} --reason TEXT"
    )


def confirm(where: str, name: str, book: Book, anchors: Sequence[Anchor]) -> None:
    """The high-water mark is gone: go on only where something else knows this ledger, and write
    down what it was held against. The anchors fit, see `check`.

    Raises:
        Unsound: nothing does.
    """
    known = [anchor for anchor in anchors if anchor.ledger == name and anchor.length]
    if not known:
        raise Unsound(
            f"ledger {where}: the file .head beside its key is missing, and no run remembers how "
            "far the ledger had come; copy that file from the machine that began the ledger, or "
            "restore the ledger: careledger budget restore FILE"
        )
    longest = max(anchor.length for anchor in known)
    book.append("mark", detail={"anchors": len(known), "longest": longest})
    book.unmarked = False


def check_separate(name: str, ledger: str, reason: str, anchors: Sequence[Anchor]) -> None:
    """Raises InputError or Refused where `Ledger.separate` cannot be said."""
    theirs = [anchor for anchor in anchors if anchor.ledger == ledger]
    if ledger == name or not theirs:
        found = "this very ledger" if ledger == name else "one that paid for nothing here"
        raise InputError(
            f"ledger {ledger}: {found}, expected what `careledger budget verify` names"
        )
    if not reason.strip():
        raise InputError("reason: found nothing, expected who shares this MLflow store and why")
    if here := [anchor.where for anchor in theirs if anchor.here]:
        raise Refused(
            f"ledger {ledger} paid for {here[0]} of this very home, so it is not another "
            "installation's; restore it from a backup: careledger budget restore FILE"
        )
