"""Ledgers to try, in either store, and charges of a known size."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from privacy import key as keys
from privacy import restoring
from privacy.accounting import epsilon_of
from privacy.accounts import Cut
from privacy.anchors import Anchor
from privacy.fingerprints import Records, records
from privacy.ledger import Ledger
from privacy.restoring import Restored
from privacy.stores import Store, store_at

DELTA = 1e-5
CHARGE = [{"kind": "gaussian", "sigma": 2.0, "count": 1}]  # ε 1.99 at 1e-5; two of them 2.94
ONE, TWO = epsilon_of(CHARGE, DELTA), epsilon_of(CHARGE * 2, DELTA)


def prints(*spans: tuple[int, int]) -> Records:
    """Fingerprints of records that are told apart by number."""
    return records(*(np.arange(first, last, dtype=np.uint64) + 1 for first, last in spans))


def charge_for(
    ledger: Ledger, job: str, data: str, owners: Mapping[str, tuple[int, int]], count: int = 1
) -> None:
    """A job on these owners' records, each owner's from one number to another."""
    named = {f"{data}/{owner}" if owner else data: span for owner, span in owners.items()}
    ledger.reserve(
        job,
        dict.fromkeys(named, CHARGE * count),
        cut=Cut(data, None if "" in owners else "bank"),
        grant=(90, DELTA),
        records=lambda: {owner: prints(span) for owner, span in named.items()},
    )


def spent(ledger: Ledger, owner: str = "a") -> float:
    return ledger.budgets(owner)[0].epsilon_spent


@dataclass
class Place:
    """Where a ledger of one test is."""

    where: Path | str
    key: Path

    @property
    def mark(self) -> Path:
        return self.key.with_suffix(".head")

    def ledger(
        self,
        *anchors: Anchor,
        timeout: float = 60.0,
        reader: Callable[[str], Sequence[Anchor]] | None = None,
    ) -> Ledger:
        return Ledger(self.where, timeout, key=self.key, anchors=reader or (lambda _: anchors))

    def anchor(self, where: str = "run r") -> Anchor:
        """The present head, as a run would remember it."""
        ledger = self.ledger()
        return Anchor(ledger.name, *ledger.head(), where)

    def store(self) -> Store:
        return store_at(self.where, 60.0)

    @contextmanager
    def direct(self) -> Iterator[Any]:
        """A connection past the ledger, as a person with the rights to the file would have it; the
        table is `entries` in both stores, and its triggers are gone."""
        if isinstance(self.where, str):
            with psycopg.connect(self.where, autocommit=True) as connection:
                connection.execute("SET search_path = careledger")
                connection.execute("ALTER TABLE entries DISABLE TRIGGER append_only")
                yield connection
                connection.execute("ALTER TABLE entries ENABLE TRIGGER append_only")
            return
        import sqlite3

        with closing(sqlite3.connect(self.where)) as file, file:
            for trigger in ("no_update", "no_delete"):
                file.execute(f"DROP TRIGGER IF EXISTS {trigger}")
            yield file

    def rows(self) -> list[tuple[Any, ...]]:
        with self.store().read() as rows:
            return [(*row, rows.payload(row[0])) for row in rows.all()]

    def put(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Have exactly these rows stand there."""
        mark = "%s" if isinstance(self.where, str) else "?"
        with self.direct() as connection:
            connection.execute("DELETE FROM entries")
            for row in rows:
                connection.execute(f"INSERT INTO entries VALUES ({', '.join([mark] * 8)})", row)  # noqa: S608

    def lose(self) -> None:
        """Database, key and mark are gone."""
        if isinstance(self.where, str):
            with psycopg.connect(self.where, autocommit=True) as connection:
                connection.execute("DROP SCHEMA IF EXISTS careledger CASCADE")
        else:
            self.where.unlink(missing_ok=True)
        for path in (self.key, self.mark):
            path.unlink(missing_ok=True)

    def copy_beside(self, folder: Path) -> None:
        """Key and mark as they are now."""
        folder.mkdir()
        for path in (self.key, self.mark):
            shutil.copy2(path, folder)

    def name(self) -> str:
        return keys.name_of(keys.read(self.key))


def restore(place: Place, file: Path, *anchors: Anchor, charge_lost: bool = False) -> Restored:
    """Put a backup in place, with these as all that anything remembers."""
    return restoring.restore(
        file, place.store(), place.key, lambda _: anchors, charge_lost=charge_lost
    )
