"""Files and servers that fail: locked, read-only, full, cut short, newer, something else."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from domains.errors import InputError, Refused
from privacy.ledger import Ledger
from privacy.stores import postgres
from tests.privacy.sample_ledgers import CHARGE, DELTA, Place, spent

SECRET = "s3cr3t-w0rd"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    ledger.grant("a", 3, DELTA)
    ledger.grant("b", 3, DELTA)
    ledger.reserve("before", {"b": CHARGE})
    return path


@pytest.fixture
def server(postgres: str, tmp_path: Path) -> Place:
    place = Place(postgres, tmp_path / "ledger.db.key")
    place.lose()
    place.ledger().grant("a", 3, DELTA)
    return place


@pytest.mark.parametrize(
    "change", ["UPDATE entries SET detail = '{}'", "DELETE FROM entries WHERE number = 2"]
)
def test_the_file_refuses_to_change_or_remove_entries(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path)) as file, pytest.raises(sqlite3.Error, match="append-only"):
        file.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE careledger.entries SET detail = '{}'",
        "DELETE FROM careledger.entries WHERE number = 1",
        "TRUNCATE careledger.entries",
    ],
)
def test_the_server_refuses_to_change_or_remove_entries(server: Place, change: str) -> None:
    with (
        psycopg.connect(str(server.where)) as connection,
        pytest.raises(psycopg.Error, match="append-only"),
    ):
        connection.execute(change)


def test_a_locked_file_says_so_and_spends_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="locked by another process"):
            Ledger(path, timeout=0.05).reserve("next", {"a": CHARGE})
        other.execute("ROLLBACK")
    assert spent(Ledger(path)) == 0


def test_a_locked_table_says_so_and_spends_nothing(server: Place) -> None:
    with psycopg.connect(str(server.where)) as other:
        other.execute("LOCK TABLE careledger.entries IN EXCLUSIVE MODE")
        assert spent(server.ledger()) == 0  # who only reads need not wait
        with pytest.raises(InputError, match="locked by another process"):
            server.ledger(timeout=0.05).reserve("next", {"a": CHARGE})
    assert spent(server.ledger()) == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.6, 0.9])
def test_a_file_cut_short_is_named_and_not_begun_anew(tmp_path: Path, share: float) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    for owner in range(60):
        ledger.grant(f"owner {owner}", 3, DELTA)
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises((InputError, Refused), match=r"ledger .*restore it from a backup"):
        Ledger(path).reserve("next", {"owner 1": CHARGE})


def test_a_file_that_is_no_ledger_is_named(path: Path) -> None:
    path.write_text("owner,epsilon\n" * 100)
    with pytest.raises(InputError, match="not a ledger"):
        Ledger(path)


def test_a_newer_file_is_not_guessed_at(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 7")
    with pytest.raises(InputError, match="version 7"):
        Ledger(path)


def test_a_newer_server_is_not_guessed_at(server: Place) -> None:
    with psycopg.connect(str(server.where)) as connection:
        connection.execute("UPDATE careledger.ledger_version SET version = 7")
    with pytest.raises(InputError, match="version 7"):
        server.ledger()


def test_a_read_only_file_shows_but_does_not_spend() -> None:
    folder = Path(tempfile.mkdtemp())  # outside tmp_path, which only its owner may enter
    try:
        ledger = Ledger(folder / "ledger.db")
        ledger.grant("a", 3, DELTA)
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        with as_nobody():
            assert Ledger(folder / "ledger.db").budgets("a")[0].epsilon_left == 3
            with pytest.raises(InputError, match="cannot be written"):
                ledger.reserve("1", {"a": CHARGE})
        assert spent(ledger) == 0
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write read-only files: step down for the moment."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_read_only_server_shows_but_does_not_spend(server: Place) -> None:
    name = psycopg.conninfo.conninfo_to_dict(str(server.where))["dbname"]
    with psycopg.connect(str(server.where), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        try:
            assert server.ledger().budgets("a")[0].epsilon_left == 3
            with pytest.raises(InputError, match="read-only"):
                server.ledger().reserve("1", {"a": CHARGE})
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="ledger"):
        Ledger(tmp_path / "file" / "ledger.db")


FILL = """
import resource, signal, sys
import numpy as np
from privacy.accounts import Cut
from privacy.ledger import Ledger
charge = {"kind": "gaussian", "sigma": 2.0, "count": 1}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
many = {"a": (np.arange(1, 9000, dtype=np.uint64),)}
ledger.reserve("x", {"a": [charge]}, cut=Cut("a"), grant=(9, 1e-5), records=lambda: many)
"""


def test_a_full_disk_refuses_and_records_nothing(path: Path) -> None:
    """No file may grow past 20 kB: as on a disk without room, the write itself fails."""
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "InputError" in done.stderr.splitlines()[-1]
    assert "disk is full" in done.stderr.splitlines()[-1]
    assert Ledger(path).head()[0] == 3
    assert Ledger(path).verify() == []


def test_of_a_second_machine_the_key_is_asked(server: Place, tmp_path: Path) -> None:
    elsewhere = Place(server.where, tmp_path / "other" / "ledger.db.key")
    with pytest.raises(InputError, match="copy it from the machine that began this ledger"):
        elsewhere.ledger()
    elsewhere.key.parent.mkdir(exist_ok=True)
    shutil.copy2(server.key, elsewhere.key)
    with pytest.raises(Refused, match="copy that file from the machine that began the ledger"):
        elsewhere.ledger().reserve("1", {"a": CHARGE})
    shutil.copy2(server.mark, elsewhere.mark)
    elsewhere.ledger().reserve("1", {"a": CHARGE})
    assert server.ledger().verify() == []  # whose own mark lags behind
    server.ledger().commit("1")


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://careledger:{SECRET}@127.0.0.1:1/ledger",
        f"postgresql://careledger:{SECRET}@no-such-host.invalid/ledger",
        f"postgresql://careledger:{SECRET}@127.0.0.1:1/ledger?no_such_option=1",
        f"postgresql://careledger:{SECRET}@127.0.0.1:port/ledger",
        f"postgresql://careledger@127.0.0.1:1/ledger?password={SECRET}",
    ],
)
def test_an_address_that_leads_nowhere_is_named_without_its_password(
    address: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"CARELEDGER_LEDGER_URL") as caught:
        Ledger(address, key=tmp_path / "key").budgets()
    error: BaseException | None = caught.value
    assert "\n" not in str(error)
    assert SECRET not in str(error)


def test_what_the_server_says_does_not_bring_the_password_out(server: Place) -> None:
    wrong = psycopg.conninfo.make_conninfo(str(server.where), dbname="nowhere", password=SECRET)
    parts = psycopg.conninfo.conninfo_to_dict(wrong)
    address = f"postgresql://{parts['user']}:{SECRET}@/nowhere?host={parts['host']}"
    with pytest.raises(InputError, match="no such database") as caught:
        Ledger(address, key=server.key)
    assert SECRET not in str(caught.value)
    assert "nowhere" in str(caught.value)


def test_a_server_that_may_forget_is_refused() -> None:
    forgetful: Any = SimpleNamespace(execute=lambda _: SimpleNamespace(fetchone=lambda: ("off",)))
    with pytest.raises(InputError, match="fsync = off"):
        postgres._check_durable("here", forgetful)
