"""What every store of the ledger does."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from domains.errors import InputError

VERSION = 1
"""Of the tables; a store written by a later one is not guessed at."""

COLUMNS = "number, at, kind, job, owner, detail, hash"
APPEND_ONLY = "the ledger is append-only"

Row = tuple[int, str, str, str | None, str | None, str, str]
"""`COLUMNS`: number from 1, UTC time, kind, job, owner, detail as JSON, keyed hash."""


class Rows(Protocol):
    """The rows as one transaction sees them."""

    def all(self) -> Iterator[Row]:
        """Every row, by number."""

    def payload(self, number: int) -> bytes | None:
        """The bytes beside a row."""

    def add(self, row: Row, payload: bytes | None) -> None:
        """Write one row, on disk when the transaction has ended."""


class Store(Protocol):
    """A place for rows, opened anew for each transaction: safe to fork, and to keep for days.

    Attributes:
        name: As people read it; never a password.
        errors: What its transactions raise when the place fails them.
    """

    name: str
    errors: tuple[type[Exception], ...]

    def begin(self, allowed: Callable[[], None]) -> None:
        """Make the tables where there are none, if `allowed` raises nothing.

        Raises:
            InputError: They were written by another version.
        """

    def read(self) -> AbstractContextManager[Rows]:
        """One consistent view."""

    def write(self) -> AbstractContextManager[Rows]:
        """The only writer's view: its rows are all on disk once the block has ended, or none."""

    def replace(
        self, choose: Callable[[list[Row] | None], Iterable[tuple[Row, bytes | None]]]
    ) -> None:
        """Put other rows in place of all, or none where `choose` raises; nobody writes meanwhile.

        Args:
            choose: The rows present (None where they are gone or cannot be read) → those to keep.
        """

    def explain(self, error: Exception) -> str:
        """What one of `errors` means, and how to mend it."""

    def files(self) -> tuple[Path, ...]:
        """Files it is made of, which nothing else may be written to."""


def check_version(name: str, found: int) -> None:
    """Raises InputError where a store was not written by this version."""
    if found != VERSION:
        raise InputError(
            f"ledger {name}: written as version {found}, this Careledger reads version {VERSION}; "
            "use the Careledger that wrote it"
        )
