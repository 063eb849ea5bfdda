"""The ledger's rows in one SQLite file (the default).

Writers take turns (BEGIN IMMEDIATE); synchronous=EXTRA puts a row, and the end of its journal, on
disk before COMMIT returns.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from domains import durable
from privacy.stores.rows import APPEND_ONLY, COLUMNS, VERSION, Row, check_version

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
    BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END;
PRAGMA user_version = {VERSION};
"""
_BESIDE = ("-journal", "-wal", "-shm")
_CAUSES = {
    "locked": "locked by another process; try again when it has finished",
    "readonly": "cannot be written, so nothing can be spent; make it and its folder writable",
    "unable to open": "cannot be opened; check that its folder exists and may be written",
    "full": "the disk is full, so nothing was recorded and nothing may be spent; make room",
    "disk I/O": "the disk is full or fails, so nothing was recorded and nothing may be spent; "
    "make room",
    "malformed": "damaged or cut short; restore it from a backup",
    "not a database": "not a ledger, or damaged; restore it from a backup",
    "no such": "a database of something else, not a ledger; restore it from a backup",
    APPEND_ONLY: "entries are never changed or removed",
}


class _Rows:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> Iterator[Row]:
        query = f"SELECT {COLUMNS} FROM entries ORDER BY number"  # noqa: S608
        yield from self._connection.execute(query)

    def payload(self, number: int) -> bytes | None:
        query = "SELECT payload FROM entries WHERE number = ?"
        found = self._connection.execute(query, (number,)).fetchone()
        return bytes(found[0]) if found and found[0] is not None else None

    def add(self, row: Row, payload: bytes | None) -> None:
        query = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._connection.execute(query, (*row, payload))


class SqliteStore:
    """See `Store`."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        self.name = str(path)

    def begin(self, allowed: Callable[[], None]) -> None:
        """See `Store`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection:
            if _version(connection) == 0:
                connection.execute("BEGIN IMMEDIATE")
                if _version(connection) == 0:  # nobody else made it while this process waited
                    allowed()
                    _create(connection)
                connection.execute("COMMIT")
            check_version(self.name, _version(connection))

    @contextmanager
    def read(self) -> Iterator[_Rows]:
        """See `Store`."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield _Rows(connection)

    @contextmanager
    def write(self) -> Iterator[_Rows]:
        """See `Store`."""
        with self._locked("IMMEDIATE") as connection:
            yield _Rows(connection)
            connection.execute("COMMIT")

    def replace(
        self, choose: Callable[[list[Row] | None], Iterable[tuple[Row, bytes | None]]]
    ) -> None:
        """See `Store`. The new file takes the place of the old one whole; writers that waited for
        the old one notice (`_locked`)."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._held() as found:
            self._put(choose(found))

    def explain(self, error: Exception) -> str:
        """See `Store`."""
        said = str(error)
        return next((plain for sign, plain in _CAUSES.items() if sign in said), said)

    def files(self) -> tuple[Path, ...]:
        """See `Store`."""
        return (self._path, *(self._beside(end) for end in _BESIDE))

    def _put(self, rows: Iterable[tuple[Row, bytes | None]]) -> None:
        with durable.replacing(self._path) as part:
            with closing(self._connect(part)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                _create(connection)
                made = _Rows(connection)
                for row, payload in rows:
                    made.add(row, payload)
                connection.execute("COMMIT")
            for end in _BESIDE:  # what the old file left would be rolled back into the new one
                self._beside(end).unlink(missing_ok=True)

    def _beside(self, end: str) -> Path:
        return self._path.with_name(self._path.name + end)

    def _connect(self, path: Path | None = None) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path or self._path, timeout=self._timeout, isolation_level=None
        )
        connection.execute("PRAGMA synchronous = EXTRA")
        return connection

    @contextmanager
    def _locked(self, how: str) -> Iterator[sqlite3.Connection]:
        """A connection that holds the file's lock; the file is the one of that name, and not one
        that was replaced while this process waited."""
        while True:
            before = _inode(self._path)
            with closing(self._connect()) as connection:
                connection.execute(f"BEGIN {how}")
                if before != _inode(self._path):
                    continue
                try:
                    yield connection
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                return

    @contextmanager
    def _held(self) -> Iterator[list[Row] | None]:
        """The rows present, while nobody else may write; None where they cannot be read."""
        with ExitStack() as stack:
            try:
                found = _present(stack.enter_context(self._locked("EXCLUSIVE")))
            except sqlite3.DatabaseError as error:
                if "locked" in str(error):
                    raise
                found = None
            yield found


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _create(connection: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)


def _present(connection: sqlite3.Connection) -> list[Row] | None:
    if _version(connection) == 0:
        return None
    return list(_Rows(connection).all())
