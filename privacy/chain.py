"""An append-only, hash-chained list of entries in a store of rows.

Every entry's hash is HMAC-SHA256, under a key in a file of its own, of the previous hash and of the
entry itself; it is checked on every read. A list cut off at its end is a valid, shorter list: what
notices that is the high-water mark beside the key, looked at here whenever something is written,
and the anchors in what the ledger paid for (`privacy.anchors`).
"""

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

from domains.errors import InputError, Refused
from privacy import key as keys
from privacy import mark as marks
from privacy.mark import Mark
from privacy.stores import Row, Rows, Store

GENESIS = "0" * 64
LOST = "lost"
"""Kind of the entries that settle a part of the chain which is gone; see `privacy.restoring`."""

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
MEND = (
    "nothing can be spent before you restore it from a backup: `careledger budget verify` says "
    "what is wrong, `careledger budget restore FILE` mends it"
)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: its number from 1, UTC time, kind, job, owner and what was said."""

    number: int
    at: str
    kind: str
    job: str | None
    owner: str | None
    detail: dict[str, Any]


class Unsound(Refused):
    """The ledger is not what was written: it refuses to spend."""


class Tampered(Exception):
    """The entry of this number is not the one that was written."""


class Book:
    """The verified entries as one transaction sees them, and the means to add to them.

    Attributes:
        entries, hashes: All of them, oldest first.
        unmarked: Whether the high-water mark that should hold them is gone.

    Raises:
        Tampered: an entry is not the one that was written; the chain turns it into Unsound.
    """

    def __init__(self, rows: Rows, key: bytes) -> None:
        self._rows, self._key = rows, key
        self.entries: list[Entry] = []
        self.hashes: list[str] = []
        self.unmarked = False
        for row in rows.all():
            self._follow(row)

    @property
    def head(self) -> tuple[int, str]:
        """Length and last hash: who keeps it can tell later whether anything was taken away."""
        return len(self.entries), self._last

    def holds(self, length: int, head: str) -> bool:
        """Whether the first `length` entries are those that had this head, or were settled."""
        if length == 0 or (length <= len(self.hashes) and self.hashes[length - 1] == head):
            return True
        return head in self.settled()

    def settled(self) -> set[str]:
        """Heads of entries that are gone, and were made good (`privacy.restoring`)."""
        lost = (entry.detail["settles"] for entry in self.entries if entry.kind == LOST)
        return {head for heads in lost for head in heads}

    def separate(self) -> set[str]:
        """Names of ledgers that a person said are another installation's."""
        return {str(one.detail["ledger"]) for one in self.entries if one.kind == "separate"}

    def append(
        self,
        kind: str,
        *,
        job: str | None = None,
        owner: str | None = None,
        detail: dict[str, Any],
        payload: bytes | None = None,
    ) -> None:
        """Add an entry; a payload is stored beside it and its digest within it."""
        if payload is not None:
            detail = {**detail, "sha256": hashlib.sha256(payload).hexdigest()}
        at = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Entry(len(self.entries) + 1, at, kind, job, owner, detail)
        text = _canonical(detail)
        link = _link(self._key, self._last, entry, text)
        row: Row = (entry.number, at, kind, job, owner, text, link)
        self._rows.add(row, payload)
        self._keep(entry, link)

    def payload(self, entry: Entry) -> bytes:
        """The bytes stored with an entry.

        Raises:
            Tampered: they are not those that were stored.
        """
        payload = self._rows.payload(entry.number) or b""
        if hashlib.sha256(payload).hexdigest() != entry.detail["sha256"]:
            raise Tampered(entry.number)
        return payload

    @property
    def _last(self) -> str:
        return self.hashes[-1] if self.hashes else GENESIS

    def _keep(self, entry: Entry, link: str) -> None:
        self.entries.append(entry)
        self.hashes.append(link)

    def _follow(self, row: Row) -> None:
        entry = entry_of(row)
        if entry is None or entry.number != len(self.entries) + 1:
            raise Tampered(len(self.entries) + 1)
        found = str(row[6])
        for text in (lambda: row[5], lambda: _canonical(entry.detail)):
            if hmac.compare_digest(_link(self._key, self._last, entry, text()), found):
                return self._keep(entry, found)
        raise Tampered(entry.number)


class Chain:
    """The rows of a store under a key; each transaction opens the store anew."""

    def __init__(self, store: Store, key: Path) -> None:
        self._store, self._key_path = store, key
        with self.plain_errors():
            store.begin(self._refuse_if_lost)
            self._key = self._read_key()

    @property
    def name(self) -> str:
        """Names this ledger among others; see `key.name_of`."""
        return keys.name_of(self._key)

    @property
    def where(self) -> str:
        """The store, as people read it."""
        return self._store.name

    @contextmanager
    def read(self) -> Iterator[Book]:
        """One consistent view."""
        with self.plain_errors(), self._store.read() as rows:
            yield Book(rows, self._key)

    @contextmanager
    def rows(self) -> Iterator[tuple[Rows, bytes, Mark | None]]:
        """One consistent view of what stands there, unchecked, the key, and the mark as it was
        before, which that view has to hold."""
        mark = marks.read(self._key_path)
        with self.plain_errors(), self._store.read() as rows:
            yield rows, self._key, mark

    @contextmanager
    def write(self) -> Iterator[Book]:
        """The only writer's view; what it appends is kept together, or not at all on an error.

        Raises:
            Unsound: entries that were written are gone.
        """
        with self.plain_errors():
            with self._store.write() as rows:
                book = Book(rows, self._key)
                mark = marks.read(self._key_path)
                self.check_mark(book, mark)
                book.unmarked = mark is None
                yield book
            if not book.unmarked:  # one that is gone comes back only once something confirmed it
                marks.raise_to(self._key_path, Mark(*book.head))

    def files(self) -> tuple[Path, ...]:
        """Files that nothing else may be written to."""
        return (*self._store.files(), self._key_path, marks.path_of(self._key_path))

    def check_mark(self, book: Book, mark: Mark | None) -> None:
        """Raises Unsound where entries that this machine has seen are not among those found."""
        if mark is not None and not book.holds(mark.length, mark.head):
            raise Unsound(
                f"ledger {self.where}: {marks.path_of(self._key_path).name} beside its key knows "
                f"{mark.length} entries, and these are not among the {len(book.entries)} found; "
                f"{MEND}"
            )

    def _refuse_if_lost(self) -> None:
        for path in (self._key_path, marks.path_of(self._key_path)):
            if path.exists():
                raise InputError(
                    f"ledger {self.where}: empty or missing while {path} is there; restore it from "
                    "a backup (careledger budget restore FILE), it knows what was spent"
                )

    def _read_key(self) -> bytes:
        if not self._key_path.exists():
            with self._store.write() as rows:
                if not self._key_path.exists():  # nobody else began it while this process waited
                    self._begin(rows)
        return keys.read(self._key_path)

    def _begin(self, rows: Rows) -> None:
        if next(rows.all(), None) is not None:
            raise InputError(
                f"ledger {self.where}: its key {self._key_path} is missing; restore it from a "
                "backup, or copy it from the machine that began this ledger"
            )
        marks.put(self._key_path, Mark(0, GENESIS))
        keys.write(self._key_path, os.urandom(keys.SIZE))

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """What goes wrong in the store or the chain, as one line for a person."""
        try:
            yield
        except Tampered as error:
            raise Unsound(f"ledger {self.where}: {_tampered(error, self._key_path)}") from None
        except self._store.errors as error:
            raise InputError(f"ledger {self.where}: {self._store.explain(error)}") from error
        except OSError as error:
            place = error.filename or self.where
            raise InputError(f"ledger {self.where}: {place}: {error.strerror or error}") from error


def entry_of(row: Row) -> Entry | None:
    """The entry of a row; None where its detail is no JSON."""
    number, at, kind, job, owner, detail, _ = row
    try:
        return Entry(number, at, kind, job, owner, json.loads(detail))
    except (TypeError, ValueError):
        return None


def link_of(key: bytes, previous: str, entry: Entry) -> str:
    """The keyed hash of an entry and of all before it."""
    return _link(key, previous, entry, _canonical(entry.detail))


def _link(key: bytes, previous: str, entry: Entry, detail: str) -> str:
    """HMAC of the JSON list of all that is said; `detail` is its part of that text already, which
    is how new rows hold it: encoding it again would cost most of the time of a read."""
    words = (previous, entry.at, entry.kind, entry.job, entry.owner)
    link, *rest = ("null" if word is None else encode_basestring_ascii(word) for word in words)
    text = ",".join((link, str(entry.number), *rest, detail))
    return hmac.digest(key, f"[{text}]".encode(), "sha256").hex()


def _tampered(error: Tampered, key: Path) -> str:
    other = f", or its key {key} is another ledger's" if error.args == (1,) else ""
    return (
        f"entry {error} is not the one that was written, it was edited, removed or moved{other}; "
        f"{MEND}"
    )
