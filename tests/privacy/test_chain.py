"""The file itself: killed, raced for, locked, read-only, full, edited, cut short or newer."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from privacy.accounting import epsilon_of
from privacy.ledger import Ledger

DELTA = 1e-5
CHARGE = [{"kind": "gaussian", "sigma": 2.0, "count": 1}]
ONE = epsilon_of(CHARGE, DELTA)
ROOT = Path(__file__).parents[2]

RESERVE = """
import sys, time
from privacy.ledger import Ledger
from domains.errors import Refused
path, job, then = sys.argv[1:]
ledger = Ledger(path)
print("ready", flush=True)
sys.stdin.readline()
try:
    ledger.reserve(job, {"a": [{"kind": "gaussian", "sigma": 2.0, "count": 1}]})
except Refused:
    sys.exit(3)
print("reserved", flush=True)
time.sleep(600 if then == "hang" else 0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path)
    ledger.grant("a", 1.2 * ONE, DELTA)
    ledger.grant("b", 1.2 * ONE, DELTA)
    ledger.reserve("before", {"b": CHARGE})
    return path


def start(path: Path, job: str, then: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RESERVE, str(path), job, then],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def say(process: subprocess.Popen[str], expected: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == expected


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@contextmanager
def direct(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def test_a_job_killed_between_reserve_and_commit_stays_charged(path: Path) -> None:
    with start(path, "killed", "hang") as process:
        say(process, "ready")
        go(process)
        say(process, "reserved")
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert Ledger(path).budgets("a")[0].epsilon_spent == ONE
    with pytest.raises(Refused):
        Ledger(path).reserve("next", {"a": CHARGE})


def test_of_two_processes_for_the_last_of_a_budget_exactly_one_wins(path: Path) -> None:
    with start(path, "1", "end") as first, start(path, "2", "end") as second:
        for process in (first, second):
            say(process, "ready")
        for process in (first, second):
            go(process)
        for process in (first, second):
            process.communicate()
    assert sorted([first.returncode, second.returncode]) == [0, 3]
    assert Ledger(path).budgets("a")[0].epsilon_spent == ONE


@pytest.mark.parametrize(
    "change", ["UPDATE entries SET detail = '{}'", "DELETE FROM entries WHERE number = 2"]
)
def test_the_database_refuses_to_change_or_remove_entries(path: Path, change: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), direct(path) as connection:
        connection.execute(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET detail = replace(detail, '2.0', '9.0') WHERE kind = 'reserve'",
        "UPDATE entries SET kind = 'cancel' WHERE kind = 'reserve'",
        "UPDATE entries SET detail = 'no JSON' WHERE number = 1",
        "DELETE FROM entries WHERE number = 2",
        "UPDATE entries SET number = number + 1 WHERE number = 3",
        "INSERT INTO entries SELECT 4, at, kind, job, 'c', detail, hash, payload FROM entries"
        " WHERE number = 1",
    ],
)
def test_an_edited_ledger_refuses_to_spend(path: Path, change: str) -> None:
    with direct(path) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("DROP TRIGGER no_delete")
        connection.execute(change)
    with pytest.raises(Refused, match="not the one that was written"):
        Ledger(path).reserve("next", {"a": CHARGE})


def test_edited_fingerprints_are_noticed(path: Path) -> None:
    Ledger(path).register_records("a", {b"12345678"})
    with direct(path) as connection:
        connection.execute("DROP TRIGGER no_update")
        connection.execute("UPDATE entries SET payload = NULL WHERE kind = 'records'")
    with pytest.raises(Refused, match="not the one that was written"):
        Ledger(path).register_records("b", {b"12345678"})


def test_a_locked_ledger_says_so_and_spends_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="locked by another process"):
            Ledger(path, timeout=0.05).reserve("next", {"a": CHARGE})
        other.execute("ROLLBACK")
    assert Ledger(path).budgets("a")[0].epsilon_spent == 0


@pytest.mark.parametrize("size", [0, 100, 4096, 5000])
def test_a_ledger_cut_short_is_named_and_not_begun_anew(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises((InputError, Refused), match=r"ledger .*restore it from a backup"):
        Ledger(path).reserve("next", {"a": CHARGE})


def test_a_removed_ledger_is_not_begun_anew(path: Path) -> None:
    path.unlink()
    with pytest.raises(InputError, match="knows what was spent"):
        Ledger(path)


def test_a_file_that_is_no_ledger_is_named(path: Path) -> None:
    path.write_text("owner,epsilon\n" * 100)
    with pytest.raises(InputError, match="not a ledger"):
        Ledger(path)


def test_a_lost_key_is_named(path: Path) -> None:
    path.with_name("ledger.sqlite.key").unlink()
    with pytest.raises(InputError, match=r"key .* is missing"):
        Ledger(path)


def test_the_key_is_readable_by_its_owner_only(path: Path) -> None:
    assert path.with_name("ledger.sqlite.key").stat().st_mode & 0o777 == 0o600


def test_a_newer_version_is_not_guessed_at(path: Path) -> None:
    with direct(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(InputError, match="version 7"):
        Ledger(path)


def test_a_read_only_ledger_shows_but_does_not_spend() -> None:
    folder = Path(tempfile.mkdtemp())  # outside tmp_path, which only its owner may enter
    try:
        ledger = Ledger(folder / "ledger.sqlite")
        ledger.grant("a", 3, DELTA)
        (folder / "ledger.sqlite.key").chmod(0o444)
        (folder / "ledger.sqlite").chmod(0o444)
        folder.chmod(0o555)
        with as_nobody():
            assert Ledger(folder / "ledger.sqlite").budgets("a")[0].epsilon_left == 3
            with pytest.raises(InputError, match="cannot be written"):
                ledger.reserve("1", {"a": CHARGE})
        assert ledger.budgets("a")[0].epsilon_spent == 0
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


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="ledger"):
        Ledger(tmp_path / "file" / "ledger.sqlite")


def test_a_full_disk_refuses_and_records_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, connect = Ledger(path), sqlite3.connect

    def nearly_full(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        connection.execute("PRAGMA max_page_count = 1")  # SQLite keeps the pages it has
        return connection

    monkeypatch.setattr(sqlite3, "connect", nearly_full)
    with pytest.raises(InputError, match="disk is full"):
        ledger.register_records("a", {number.to_bytes(8, "big") for number in range(2000)})
    assert ledger.head()[0] == 3
