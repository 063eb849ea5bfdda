"""A job that `make down` stops is no crash: nobody is alarmed, and it goes on as often as it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.exceptions import TerminationSignal

from pipelines.life import endings, jobs, lives, reopening, stopping
from pipelines.services import processes, records
from pipelines.services.down import down
from pipelines.status import needs, runs, stopped, text
from pipelines.tracking import Job, client
from tests.pages.sample_status import snapshot
from tests.pipelines.life.sample_jobs import die, killed, only_crashed, take_up
from tests.pipelines.services.sample_machine import eventually

pytestmark = pytest.mark.usefixtures("home")
ROOT = Path(__file__).parents[3]
WORKS = (
    "import os, sys, time\n"
    "os.setpgid(0, 0)\n"
    "from pipelines.services import records\n"
    "from tests.pipelines.life.sample_jobs import run\n"
    "records.write('flow-1', ['x'], 'log', None, None)\n"
    "run(lambda job: time.sleep(600))\n"
)


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What people are told of jobs."""
    heard: list[str] = []
    monkeypatch.setattr(endings, "notify", lambda event, *_, **__: heard.append(event))
    return heard


def test_make_down_in_mid_run_is_told_as_what_it_is(
    told: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with subprocess.Popen([sys.executable, "-c", WORKS], cwd=ROOT) as process:
        assert eventually(lambda: any(jobs.runs_folder().glob("*/stages/*-first.json")), 120)
        (run_id,) = stopping.at_work()
        assert down() == 0
        assert process.wait(10) != 0
    assert f"careledger resume {run_id}" in capfd.readouterr().out
    (run,) = found = runs.read()
    seen = snapshot(runs=found, crashed=stopped.read())
    assert run["end"] == "stopped"
    assert run["why"].startswith("stopped by make down; the next make up or careledger resume")
    assert needs.people(seen) == []
    assert "stopped by make down in" in text.tell(seen)
    assert lives.mark_crashed(run_id)
    assert told == []
    assert client().get_run(run_id).data.tags["careledger.ended"].startswith("stopped by make down")
    assert "stopped by make down" in lives.describe(only_crashed())
    assert [run["end"] for run in runs.read()] == ["stopped"]


def test_a_stop_is_none_of_the_attempts_that_a_job_has() -> None:
    def again(_: Job) -> None:
        raise killed()

    run_id = die()
    for _ in range(2 * reopening.MOST_ATTEMPTS):
        assert stopping.note_stopped([run_id]) == [run_id]
        assert stopping.note_stopped([run_id]) == []
        with pytest.raises(TerminationSignal):
            take_up(run_id, again)
        assert not only_crashed().stopped
    record = jobs.read(jobs.folder_of(run_id))
    assert record.attempts == 2 * reopening.MOST_ATTEMPTS + 1  # no two charge under one number
    assert take_up(run_id, lambda job: job.attempt) == record.attempts + 1


def test_a_job_that_crashed_or_ended_is_not_taken_for_a_stopped_one() -> None:
    run_id = die()
    assert stopping.at_work() == []
    assert stopping.note_stopped(["gone"]) == []
    assert not only_crashed().stopped
    with subprocess.Popen([sys.executable, "-c", WORKS], cwd=ROOT) as process:
        assert eventually(stopping.at_work, 120)
        (living,) = stopping.at_work()
        assert stopping.note_stopped([living]) == []  # it is still at work
        os.kill(process.pid, signal.SIGKILL)
    assert {dead.run_id for dead in lives.crashed()} == {run_id, living}
    record = records.read("flow-1")
    assert record is not None
    processes.end([record])
