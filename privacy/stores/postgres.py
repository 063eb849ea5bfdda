"""The ledger's rows in a PostgreSQL database, for an installation of several machines.

Writers take turns (LOCK TABLE … IN EXCLUSIVE MODE, which readers need not wait for), and a commit
returns when it is on the server's disk: `synchronous_commit` is raised to `on` where it is less,
and a server that runs with `fsync = off` is refused. A password belongs into libpq's places,
PGPASSWORD or ~/.pgpass; one in the address is used, and never told.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from domains.errors import InputError
from privacy.stores.rows import APPEND_ONLY, COLUMNS, VERSION, Row, check_version

_BEGIN = f"""
CREATE SCHEMA IF NOT EXISTS careledger;
CREATE TABLE careledger.ledger_version (version integer NOT NULL);
INSERT INTO careledger.ledger_version VALUES ({VERSION});
CREATE FUNCTION careledger.append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$;
"""  # noqa: S608
_ENTRIES = """
CREATE TABLE careledger.entries (
    number  bigint PRIMARY KEY,
    at      text NOT NULL,
    kind    text NOT NULL,
    job     text,
    owner   text,
    detail  text NOT NULL,
    hash    text NOT NULL,
    payload bytea
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON careledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION careledger.append_only();
"""
_TURN = "SELECT pg_advisory_xact_lock(hashtext('careledger.entries'))"
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', true)
WHERE current_setting('synchronous_commit') IN ('off', 'local')
"""
_SECONDS = 10
_CAUSES = {
    "55P03": "locked by another process; try again when it has finished",
    "25006": "a read-only server or database, so nothing can be spent; use the primary",
    "53100": "the disk is full, so nothing was recorded and nothing may be spent; make room",
    "53300": "the server has no connection left; try again",
    "28P01": "the server does not take this user's password; PGPASSWORD or ~/.pgpass may hold it",
    "28000": "the server does not let this user in",
    "3D000": "there is no such database or user; create it",
    "42501": "this user may not do that; its owner must let it create and write the schema "
    "careledger",
    "42P01": "its tables are gone or were just put in place anew; try again, or restore it from a "
    "backup",
}


class _Rows:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def all(self) -> Iterator[Row]:
        query = f"SELECT {COLUMNS} FROM careledger.entries ORDER BY number"  # noqa: S608
        yield from self._connection.execute(query)

    def payload(self, number: int) -> bytes | None:
        query = "SELECT payload FROM careledger.entries WHERE number = %s"
        found = self._connection.execute(query, (number,)).fetchone()
        return bytes(found[0]) if found and found[0] is not None else None

    def add(self, row: Row, payload: bytes | None) -> None:
        query = "INSERT INTO careledger.entries VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
        self._connection.execute(query, (*row, payload))


class PostgresStore:
    """See `Store`."""

    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, address: str, timeout: float) -> None:
        try:
            self._parts: dict[str, Any] = conninfo_to_dict(address)
        except psycopg.Error:  # its text quotes the address, and so a password
            raise InputError(
                "CARELEDGER_LEDGER_URL: found an address that cannot be understood, expected "
                "postgresql://USER@HOST:PORT/DATABASE"
            ) from None
        self._timeout = timeout
        self.name = _shown(self._parts)

    def begin(self, allowed: Callable[[], None]) -> None:
        """See `Store`."""
        with self._connected() as connection:
            _check_durable(self.name, connection)
            if _version(connection) is None:
                self._create(allowed)
            check_version(self.name, _version(connection) or 0)

    @contextmanager
    def read(self) -> Iterator[_Rows]:
        """See `Store`."""
        with self._connected() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                yield _Rows(connection)

    @contextmanager
    def write(self) -> Iterator[_Rows]:
        """See `Store`."""
        with self._turn() as connection:
            connection.execute("LOCK TABLE careledger.entries IN EXCLUSIVE MODE")
            yield _Rows(connection)

    def replace(
        self, choose: Callable[[list[Row] | None], Iterable[tuple[Row, bytes | None]]]
    ) -> None:
        """See `Store`."""
        with self._turn() as connection:
            if _version(connection) is None:
                kept = choose(None)
                connection.execute(_BEGIN)
            else:
                connection.execute("LOCK TABLE careledger.entries IN ACCESS EXCLUSIVE MODE")
                kept = choose(list(_Rows(connection).all()))
                connection.execute("DROP TABLE careledger.entries")
            connection.execute(_ENTRIES)
            made = _Rows(connection)
            for row, payload in kept:
                made.add(row, payload)

    def explain(self, error: Exception) -> str:
        """See `Store`; in words of our own, because the driver's may hold the address."""
        state = getattr(error, "sqlstate", None) or _refused(str(error))
        if state in _CAUSES:
            return _CAUSES[state]
        if state is None:
            return "the server cannot be reached; start it, or correct CARELEDGER_LEDGER_URL"
        if APPEND_ONLY in str(error):
            return "entries are never changed or removed"
        return f"the server answers with an error ({type(error).__name__}, SQLSTATE {state})"

    def files(self) -> tuple[Path, ...]:
        """See `Store`."""
        return ()

    def _create(self, allowed: Callable[[], None]) -> None:
        with self._turn() as connection:
            if _version(connection) is None:  # nobody else made it while this process waited
                allowed()
                connection.execute(_BEGIN + _ENTRIES)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        known: dict[str, Any] = {"connect_timeout": _SECONDS, "application_name": "careledger"}
        known |= {**self._parts, "client_encoding": "utf8"}
        with psycopg.connect(**known, autocommit=True) as connection:
            yield connection

    @contextmanager
    def _turn(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that is on disk once the block has ended, and waits so long for others."""
        with self._connected() as connection:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            with connection.transaction():
                limit = f"{max(1, round(1000 * self._timeout))}ms"
                connection.execute("SELECT set_config('lock_timeout', %s, true)", (limit,))
                connection.execute(_DURABLE)
                connection.execute(_TURN)
                yield connection


def _refused(said: str) -> str | None:
    """Why no connection came about, which libpq tells in words alone."""
    signs = {"does not exist": "3D000", "password": "28P01", "pg_hba": "28000", "too many": "53300"}
    return next((state for sign, state in signs.items() if sign in said), None)


def _version(connection: psycopg.Connection[Any]) -> int | None:
    (found,) = connection.execute("SELECT to_regclass('careledger.ledger_version')").fetchone() or (
        None,
    )
    if found is None:
        return None
    row = connection.execute("SELECT version FROM careledger.ledger_version").fetchone()
    return int(row[0]) if row else 0


def _check_durable(name: str, connection: psycopg.Connection[Any]) -> None:
    (found,) = connection.execute("SHOW fsync").fetchone() or ("",)
    if found != "on":
        raise InputError(
            f"ledger {name}: the server runs with fsync = {found} and may forget what was spent; "
            "set fsync = on"
        )


def _shown(parts: dict[str, Any]) -> str:
    """The address without anything secret in it."""
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"
