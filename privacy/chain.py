"""An append-only, hash-chained list of entries in one SQLite file.

Every entry's hash is HMAC-SHA256, under a key in a file beside the database, of the previous hash
and of the entry itself; it is checked on every read. Triggers refuse UPDATE and DELETE, writers
take turns (BEGIN IMMEDIATE), and an entry is on disk before the call returns (synchronous=EXTRA).
A list cut off at its end is a valid, shorter list: whoever must notice that keeps `head()`.
"""

import hashlib
import hmac
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domains.errors import InputError, Refused

GENESIS = "0" * 64
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE entries (
    number  INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    job     TEXT,
    owner   TEXT,
    detail  TEXT NOT NULL,
    hash    TEXT NOT NULL,
    payload BLOB
);
CREATE TRIGGER no_update BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: its number from 1, UTC time, kind, job, owner and what was said."""

    number: int
    at: str
    kind: str
    job: str | None
    owner: str | None
    detail: dict[str, Any]


class _Tampered(Exception):
    """The entry of this number is not the one that was written."""


class Book:
    """The verified entries as one transaction sees them, and the means to add to them."""

    def __init__(self, connection: sqlite3.Connection, key: bytes) -> None:
        self._connection, self._key = connection, key
        self.entries: list[Entry] = []
        self.hash = GENESIS
        columns = "number, at, kind, job, owner, detail, hash"
        for row in connection.execute(f"SELECT {columns} FROM entries ORDER BY number"):  # noqa: S608
            self._follow(row)

    @property
    def head(self) -> tuple[int, str]:
        """Length and last hash: who keeps it can tell later whether anything was taken away."""
        return len(self.entries), self.hash

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
        self.hash = _link(self._key, self.hash, entry)
        self._connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (entry.number, at, kind, job, owner, json.dumps(detail), self.hash, payload),
        )
        self.entries.append(entry)

    def payload(self, entry: Entry) -> bytes:
        """The bytes stored with an entry.

        Raises:
            _Tampered: they are not those that were stored; the chain turns it into Refused.
        """
        query = "SELECT payload FROM entries WHERE number = ?"
        (payload,) = self._connection.execute(query, (entry.number,)).fetchone()
        if hashlib.sha256(payload or b"").hexdigest() != entry.detail["sha256"]:
            raise _Tampered(entry.number)
        return bytes(payload)

    def _follow(self, row: tuple[Any, ...]) -> None:
        try:
            number, at, kind, job, owner, detail = *row[:5], json.loads(row[5])
        except (TypeError, ValueError):
            raise _Tampered(row[0]) from None
        entry = Entry(number, at, kind, job, owner, detail)
        self.hash = _link(self._key, self.hash, entry)
        expected = entry.number == len(self.entries) + 1
        if not (expected and hmac.compare_digest(self.hash, str(row[6]))):
            raise _Tampered(entry.number)
        self.entries.append(entry)


class Chain:
    """The file: opened for each transaction, so that a forked or long-lived process is safe."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        with self._plain_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as connection:
                self._prepare(connection)
                self._key = self._read_key(connection)

    @contextmanager
    def read(self) -> Iterator[Book]:
        """One consistent view."""
        with self._plain_errors(), closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield Book(connection, self._key)

    @contextmanager
    def write(self) -> Iterator[Book]:
        """The only writer's view; what it appends is kept together, or not at all on an error."""
        with self._plain_errors(), closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Book(connection, self._key)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
        connection.execute("PRAGMA synchronous = EXTRA")
        return connection

    @property
    def _key_path(self) -> Path:
        return self._path.with_name(self._path.name + ".key")

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == 0:
            connection.execute("BEGIN IMMEDIATE")
            if _version(connection) == 0:  # nobody else created it while this process waited
                self._refuse_if_lost()
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
            connection.execute("COMMIT")
        if _version(connection) != _VERSION:
            raise InputError(
                f"ledger {self._path}: written as version {_version(connection)}, this Careledger "
                f"reads version {_VERSION}; use the Careledger that wrote it"
            )

    def _refuse_if_lost(self) -> None:
        if self._key_path.exists():
            raise InputError(
                f"ledger {self._path}: empty or missing while its key {self._key_path.name} is "
                "there; restore it from a backup, it knows what was spent"
            )

    def _read_key(self, connection: sqlite3.Connection) -> bytes:
        if self._key_path.exists():
            return self._key_path.read_bytes()
        connection.execute("BEGIN IMMEDIATE")
        if not self._key_path.exists():
            if connection.execute("SELECT count(*) FROM entries").fetchone()[0]:
                raise InputError(
                    f"ledger {self._path}: its key {self._key_path.name} is missing; "
                    "restore it from a backup"
                )
            _create(self._key_path, os.urandom(32))
        connection.execute("COMMIT")
        return self._key_path.read_bytes()

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except _Tampered as error:
            raise Refused(
                f"ledger {self._path}: entry {error} is not the one that was written, it was "
                "edited, removed or moved; nothing can be spent before you restore it from a backup"
            ) from None
        except sqlite3.DatabaseError as error:
            raise InputError(f"ledger {self._path}: {_explain(str(error))}") from error
        except OSError as error:
            raise InputError(f"ledger {self._path}: {error.strerror or error}") from error


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _link(key: bytes, previous: str, entry: Entry) -> str:
    said = [entry.number, entry.at, entry.kind, entry.job, entry.owner, entry.detail]
    text = json.dumps([previous, *said], sort_keys=True, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _create(path: Path, content: bytes) -> None:
    """Write a private file so that it is never seen half-written."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _explain(error: str) -> str:
    causes = {
        "locked": "locked by another process; try again when it has finished",
        "readonly": "cannot be written, so nothing can be spent; make it and its folder writable",
        "unable to open": "cannot be opened; check that its folder exists and may be written",
        "full": "the disk is full, so nothing was recorded and nothing may be spent; make room",
        "malformed": "damaged or cut short; restore it from a backup",
        "not a database": "not a ledger, or damaged; restore it from a backup",
        "append-only": "entries are never changed or removed",
    }
    return next((plain for sign, plain in causes.items() if sign in error), error)
