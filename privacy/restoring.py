"""Put a backup in the ledger's place, without ever going back in time.

A restored ledger must know at least what was known before. A backup is refused where the present
ledger, the high-water mark or an anchor knows an entry that it does not hold: what that entry spent
would be forgotten. Where no newer backup exists, the loss is paid for instead: every owner is
charged, in an entry of its own, the whole of its grant as an (ε, δ) event. An owner's past was
within its grant, whatever the lost entries said, as long as none of them raised the grant; so that
event stands for all of it, and the owner's next job needs a new, larger grant. An owner whom only
the lost entries knew is in no account: from then on no configuration grants for anybody, the owner
must (`accounts`). What pointed to the lost entries is settled by name.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domains.errors import InputError, Refused
from privacy import key as keys
from privacy import mark as marks
from privacy.accounts import read_accounts
from privacy.anchors import Anchor, Reader, missing
from privacy.backup import Backup, Kept, load
from privacy.chain import LOST, Book, Tampered, entry_of
from privacy.charging import append_grant, check_grant
from privacy.mark import Mark
from privacy.stores import Row, Store

_NAMED = 3


@dataclass(frozen=True)
class Restored:
    """What was put in place.

    Attributes:
        entries: Of the ledger as it is now.
        made: UTC time of the backup.
        lost: What knows entries that are gone, if any; then every owner was charged.
        charged: Those owners.
        confirmed: Whether anything here remembers a ledger that the backup could be held against.
    """

    entries: int
    made: str
    lost: tuple[str, ...]
    charged: tuple[str, ...]
    confirmed: bool


def restore(
    path: Path, store: Store, key: Path, anchors: Reader, *, charge_lost: bool = False
) -> Restored:
    """Make the ledger what a backup holds; see the module.

    Args:
        path: The backup.
        store: Where the ledger is, or will be.
        key: Its key's file; the high-water mark stands beside it.
        anchors: What else remembers the ledger.
        charge_lost: Charge every owner its whole grant where the backup lacks entries.

    Raises:
        Refused: The backup is older than what is known, or of another ledger than the present one.
        InputError: It cannot be read, or the store cannot be written.
    """
    work = _Restore(load(path), path, key, charge_lost)
    work.remembered(anchors)
    try:
        store.replace(work.choose)
    except store.errors as error:
        raise InputError(f"ledger {store.name}: {store.explain(error)}") from error
    except OSError as error:
        place = error.filename or store.name
        raise InputError(f"ledger {store.name}: {place}: {error.strerror or error}") from error
    marks.put(key, Mark(*work.book.head))
    return work.done()


class _Restore:
    """One restoration: what is known beside the backup, and what to do about it."""

    def __init__(self, backup: Backup, path: Path, key: Path, charge_lost: bool) -> None:
        self._backup, self._path, self._key, self._pays = backup, path, key, charge_lost
        self._kept = Kept(backup.rows)
        self.book = Book(self._kept, backup.key)
        self._known: list[Anchor] = []
        self._beyond: list[Anchor] = []
        self._charged: list[str] = []
        self._grants: dict[str, tuple[float, float]] = {}

    def remembered(self, anchors: Reader) -> None:
        """Collect what the mark and the world remember."""
        name = self._backup.name
        with suppress(InputError):  # a mark that cannot be read is lost like the rest
            if (mark := marks.read(self._key)) and mark.length:
                self._known.append(
                    Anchor(name, mark.length, mark.head, f"the mark beside {self._key}")
                )
        self._known += [one for one in anchors(name) if one.ledger == name or one.here]

    def choose(self, present: list[Row] | None) -> Sequence[tuple[Row, bytes | None]]:
        """The rows to put in place of those present, while nobody else writes."""
        if present:
            self._compare(present)
        self._beyond = missing(self._backup.name, self.book, self._known)
        if self._beyond and not self._pays:
            raise Refused(self._refusal())
        if self._beyond:
            self._charge()
        if not self._has_key():
            keys.write(self._key, self._backup.key)
        return self._kept.rows

    def done(self) -> Restored:
        """What came of it."""
        lost = tuple(dict.fromkeys(anchor.where for anchor in self._beyond))
        length, _ = self.book.head
        return Restored(length, self._backup.made, lost, tuple(self._charged), bool(self._known))

    def _has_key(self) -> bool:
        with suppress(OSError, InputError):
            return keys.read(self._key) == self._backup.key
        return False

    def _compare(self, present: list[Row]) -> None:
        """The present ledger is a witness too: by its length even where it is damaged, and by its
        content where it is sound."""
        number, link = present[-1][0], str(present[-1][6])
        sound = self._sound(present)
        ahead = number > len(self.book.entries)
        if sound is not None and ahead and not missing(self._backup.name, sound, self._known):
            raise Refused(
                f"{self._path}: the ledger in place is sound and has {number} entries, the backup "
                f"{len(self.book.entries)}; there is nothing to restore"
            )
        if sound is not None or ahead:
            self._known.append(Anchor(self._backup.name, number, link, "the ledger in place"))
        self._grants = _grants(present)

    def _sound(self, present: list[Row]) -> Book | None:
        """The present ledger; None where it is damaged.

        Raises:
            Refused: It is another one.
        """
        with suppress(OSError, InputError, Tampered):
            key = keys.read(self._key)
            book = Book(Kept([(row, None) for row in present]), key)
            if key == self._backup.key:
                return book
            raise Refused(
                f"{self._path}: the backup of another ledger than the one in place; move that one "
                "away first, with its key"
            )
        return None

    def _charge(self) -> None:
        """Settle what is lost: every owner's whole grant stands for its past."""
        most = max(anchor.length for anchor in self._beyond)
        heads = sorted({anchor.head for anchor in self._beyond})
        self.book.append(LOST, detail={"settles": heads, "entries": most})
        known = read_accounts(self.book.entries).owners
        kept = {name: (a.epsilon, a.delta) for name, a in known.items() if a.granted}
        for owner in sorted({*kept, *self._grants}):
            both = [grants[owner] for grants in (kept, self._grants) if owner in grants]
            epsilon, delta = (max(values) for values in zip(*both, strict=True))
            if kept.get(owner) != (epsilon, delta):
                append_grant(self.book, owner, epsilon, delta, "the ledger that was replaced")
            event = {"kind": "epsilon-delta", "epsilon": epsilon, "delta": delta, "count": 1}
            self.book.append(LOST, owner=owner, detail={"settles": [], "events": [event]})
            self._charged.append(owner)

    def _refusal(self) -> str:
        most = self._beyond[0]
        names = list(dict.fromkeys(anchor.where for anchor in self._beyond))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return (
            f"{self._path}: made at {self._backup.made} with {len(self.book.entries)} entries, and "
            f"{', '.join(names[:_NAMED])}{more} know{'s' if len(names) == 1 else ''} of "
            f"{most.length} that it does not hold; what these spent would be forgotten: restore a "
            "newer backup, or with --charge-lost charge every owner the whole of its grant"
        )


def _grants(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """Owner → the largest ε and δ that a ledger, damaged or not, says it granted."""
    found: dict[str, tuple[float, float]] = {}
    for entry in filter(None, map(entry_of, rows)):
        if entry.kind == "grant" and entry.owner:
            with suppress(KeyError, TypeError, ValueError, InputError):
                epsilon, delta = float(entry.detail["epsilon"]), float(entry.detail["delta"])
                check_grant(entry.owner, epsilon, delta)
                most = found.get(entry.owner, (epsilon, delta))
                found[entry.owner] = max(epsilon, most[0]), max(delta, most[1])
    return found
