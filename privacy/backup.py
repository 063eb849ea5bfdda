"""One file that holds a whole ledger: its chain, its key, and a checksum.

The same whatever store it came from, so that a move from SQLite to PostgreSQL is a backup and a
restore. JSON, a line an entry. Whoever has it can make the ledger anew with its key: it is written
for its owner's eyes alone (mode 0600), and should be kept so.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domains import durable
from domains.errors import InputError
from privacy import key as keys
from privacy.chain import Book, Tampered
from privacy.stores import Row

_WHAT, _VERSION = "careledger ledger", 1


@dataclass(frozen=True)
class Backup:
    """What a file holds.

    Attributes:
        key: The ledger's.
        made: UTC time of the backup.
        rows: Every row, with the payload beside it.
    """

    key: bytes
    made: str
    rows: list[tuple[Row, bytes | None]]

    @property
    def name(self) -> str:
        """See `key.name_of`."""
        return keys.name_of(self.key)


class Kept:
    """Rows in memory; see `Rows`."""

    def __init__(self, rows: Sequence[tuple[Row, bytes | None]]) -> None:
        self.rows = list(rows)

    def all(self) -> Iterator[Row]:
        """See `Rows`."""
        return (row for row, _ in self.rows)

    def payload(self, number: int) -> bytes | None:
        """See `Rows`."""
        return self.rows[number - 1][1]

    def add(self, row: Row, payload: bytes | None) -> None:
        """See `Rows`."""
        self.rows.append((row, payload))


def save(path: Path, key: bytes, rows: Sequence[tuple[Row, bytes | None]]) -> None:
    """Write a backup, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    made = datetime.now(UTC).isoformat(timespec="seconds")
    head = {
        "what": _WHAT,
        "version": _VERSION,
        "made": made,
        "key": key.hex(),
        "entries": len(rows),
    }
    lines = [json.dumps(head), *(json.dumps(_line(row, payload)) for row, payload in rows)]
    text = "".join(f"{line}\n" for line in lines).encode()
    end = json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode()
    try:
        with durable.replacing(path) as part:
            keys.private(part, text + end + b"\n")
    except OSError as error:
        raise InputError(f"{path}: the backup cannot be written ({error.strerror})") from error


def load(path: Path) -> Backup:
    """Read a backup, every link of its chain checked.

    Raises:
        InputError: It is no backup, of another version, damaged or cut short.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the backup cannot be read ({error.strerror})") from None
    body, _, end = text.rstrip(b"\n").rpartition(b"\n")
    head = _json(body.partition(b"\n")[0])
    if not isinstance(head, dict) or head.get("what") != _WHAT:
        raise InputError(f"{path}: not a backup of a ledger, expected what `budget backup` writes")
    if head.get("version") != _VERSION:
        raise InputError(
            f"{path}: a backup of version {head.get('version')}, this Careledger reads version "
            f"{_VERSION}; use the Careledger that wrote it"
        )
    if _json(end) != {"sha256": hashlib.sha256(body + b"\n").hexdigest()}:
        raise InputError(f"{path}: the backup is damaged or cut short; use another one")
    rows = [_row(json.loads(line)) for line in body.splitlines()[1:]]
    backup = Backup(bytes.fromhex(head["key"]), str(head["made"]), rows)
    try:
        book = Book(Kept(rows), backup.key)
        for entry in book.entries:
            if "sha256" in entry.detail:
                book.payload(entry)
    except Tampered as error:
        raise InputError(
            f"{path}: entry {error} of the backup is not the one that was written; use another one"
        ) from None
    return backup


def _line(row: Row, payload: bytes | None) -> list[Any]:
    return [*row, None if payload is None else base64.b64encode(payload).decode()]


def _row(line: list[Any]) -> tuple[Row, bytes | None]:
    number, at, kind, job, owner, detail, link, payload = line
    row = (number, at, kind, job, owner, detail, link)
    return row, None if payload is None else base64.b64decode(payload)


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
