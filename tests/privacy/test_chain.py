"""Processes that race or are killed, in both stores: nothing that was spent is ever unspent."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from privacy.accounting import epsilon_of
from privacy.accounts import read_accounts
from privacy.chain import Chain
from privacy.stores import Rows
from tests.privacy.sample_ledgers import CHARGE, DELTA, ONE, Place, spent

ROOT = Path(__file__).parents[2]

RESERVE = """
import sys, time
from pathlib import Path
from privacy.ledger import Ledger
from domains.errors import Refused
where, key, job, then = sys.argv[1:]
ledger = Ledger(where, key=Path(key))
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
def begun(place: Place) -> Place:
    ledger = place.ledger()
    ledger.grant("a", 1.2 * ONE, DELTA)
    ledger.grant("b", 1.2 * ONE, DELTA)
    ledger.reserve("before", {"b": CHARGE})
    return place


def start(place: Place, code: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(place.where), str(place.key), *words],
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


def test_a_job_killed_between_reserve_and_commit_stays_charged(begun: Place) -> None:
    with start(begun, RESERVE, "killed", "hang") as process:
        say(process, "ready")
        go(process)
        say(process, "reserved")
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert spent(begun.ledger()) == ONE
    with pytest.raises(Refused):
        begun.ledger().reserve("next", {"a": CHARGE})


def test_of_two_processes_for_the_last_of_a_budget_exactly_one_wins(begun: Place) -> None:
    with start(begun, RESERVE, "1", "end") as first, start(begun, RESERVE, "2", "end") as second:
        for process in (first, second):
            say(process, "ready")
        for process in (first, second):
            go(process)
        for process in (first, second):
            process.communicate()
    assert sorted([first.returncode, second.returncode]) == [0, 3]
    assert spent(begun.ledger()) == ONE


def spend(place: Place, prefix: int, told: int) -> None:
    """Charge job after job, and tell of each through a pipe, until killed."""
    try:
        ledger = place.ledger()
        for number in range(10_000):
            job = f"{prefix}-{number}"
            ledger.reserve(job, {"a": CHARGE})
            os.write(told, f"{job} reserved\n".encode())
            ledger.commit(job)
            os.write(told, f"{job} committed\n".encode())
    finally:
        os._exit(1)


@pytest.mark.slow
def test_a_kill_at_any_moment_forgets_nothing(place: Place) -> None:
    """What a process saw recorded stays recorded; the ledger stays sound, and its mark behind."""
    place.ledger().grant("a", 300, DELTA)
    chance = random.Random(7)
    seen: dict[str, str] = {}
    for attempt in range(30):
        told, tells = os.pipe()
        child = os.fork()
        if child == 0:
            spend(place, attempt, tells)
        os.close(tells)
        time.sleep(chance.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(told) as heard:
            for line in heard:
                job, how = line.split()
                seen[job] = how
        ledger = place.ledger()
        assert ledger.verify() == []
        assert all(ledger.standing(job) in (how, "committed") for job, how in seen.items())
    account = read_accounts(place.ledger().entries()).of("a")
    assert set(account.charges) >= set(seen) != set()
    assert len(account.charges) <= len(seen) + 30  # recorded, and killed before it was told
    assert spent(place.ledger()) == epsilon_of(CHARGE * len(account.charges), DELTA)


def test_a_lost_database_is_not_begun_anew(begun: Place) -> None:
    key, mark = begun.key.read_bytes(), begun.mark.read_text()
    begun.lose()
    begun.key.write_bytes(key)
    with pytest.raises(InputError, match=r"empty or missing while .*knows what was spent"):
        begun.ledger()
    begun.key.unlink()
    begun.mark.write_text(mark)
    with pytest.raises(InputError, match="empty or missing"):
        begun.ledger()


def test_a_lost_key_is_named(begun: Place) -> None:
    begun.key.unlink()
    with pytest.raises(
        InputError, match=r"key .* is missing; restore it.*or copy it from the mach"
    ):
        begun.ledger()


def test_a_key_that_another_process_made_meanwhile_is_not_missing(
    begun: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited for its turn to begin the ledger finds it begun, with entries in it."""
    name, away, store = begun.name(), tmp_path / "away", begun.store()
    begun.key.rename(away)
    whole = store.write

    @contextmanager
    def late() -> Iterator[Rows]:
        with whole() as rows:
            away.rename(begun.key)
            yield rows

    monkeypatch.setattr(store, "write", late)
    assert Chain(store, begun.key).name == name


def test_an_empty_key_is_none(begun: Place) -> None:
    begun.key.write_bytes(b"")
    with pytest.raises(InputError, match="found 0 bytes, expected the ledger's key of 32"):
        begun.ledger()


def test_the_key_is_readable_by_its_owner_only(begun: Place) -> None:
    assert begun.key.stat().st_mode & 0o777 == 0o600


def test_the_mark_moves_up_with_every_entry_and_never_leads(begun: Place) -> None:
    length, head = begun.ledger().head()
    assert begun.mark.read_text() == f'{{"length": {length}, "head": "{head}"}}'


def test_a_folder_that_cannot_be_written_refuses(
    begun: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mark cannot follow: the charge stands, and the job is told that it may not run."""

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), str(begun.mark))

    with monkeypatch.context() as patch:
        patch.setattr("domains.durable.flush", full)
        with pytest.raises(InputError, match=r"ledger\.db\.head: No space left"):
            begun.ledger().reserve("1", {"a": CHARGE})
    assert spent(begun.ledger()) == ONE
    begun.ledger().reserve("1", {"a": CHARGE})  # asked again, it is the same reservation
    assert begun.ledger().verify() == []
