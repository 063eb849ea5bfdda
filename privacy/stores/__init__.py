"""Where the ledger's rows are kept: a SQLite file, or a PostgreSQL database.

Both are append-only (triggers refuse UPDATE, DELETE and TRUNCATE), let one writer at a time in, and
have a row on disk before the call returns. What the rows mean, and whether they are those that were
written, is the chain's business (`privacy.chain`).
"""

from pathlib import Path

from privacy.stores.rows import Row, Rows, Store
from privacy.stores.sqlite import SqliteStore

__all__ = ["Row", "Rows", "Store", "is_address", "store_at"]

_SCHEMES = ("postgresql://", "postgres://")


def is_address(where: Path | str) -> bool:
    """Whether a ledger's place is the address of a database, and not a file."""
    return isinstance(where, str) and where.startswith(_SCHEMES)


def store_at(where: Path | str, timeout: float) -> Store:
    """The store at a file's path or a database's address.

    Args:
        where: `postgresql://user@host:port/database`, or a path.
        timeout: Seconds to wait for another process that writes.

    Raises:
        InputError: The address cannot be understood.
    """
    if not is_address(where):
        return SqliteStore(Path(where), timeout)
    from privacy.stores.postgres import PostgresStore

    return PostgresStore(str(where), timeout)
