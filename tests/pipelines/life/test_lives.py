"""Jobs whose process dies: found by their lock, told once, gone on with where they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from prefect.exceptions import TerminationSignal

from domains.errors import InputError, Interrupted, Refused
from pipelines import clock
from pipelines.evidence import Arm
from pipelines.life import endings, jobs, lives, reopening
from pipelines.stages import stage
from pipelines.tracking import Job, client, log_arm
from tests.pipelines.life.sample_jobs import die, first, full, killed, only_crashed, run, take_up

pytestmark = pytest.mark.usefixtures("home")
ROOT = Path(__file__).parents[3]


@stage()
def second(job: Job) -> dict[str, int]:
    """Dies halfway the first time."""
    mark = job.folder / "second.txt"
    mark.write_text((mark.read_text() if mark.exists() else "") + "2")
    if job.attempt == 1:
        raise killed()
    return {"times": len(mark.read_text())}


def _status(run_id: str) -> tuple[str, dict[str, str]]:
    found = client().get_run(run_id)
    return found.info.status, found.data.tags


def test_a_dead_job_is_found_with_its_stage() -> None:
    run_id = die(second.fn)
    found = only_crashed()
    assert (found.run_id, found.pipeline, found.name) == (run_id, "credit", "credit-sba")
    assert (found.stage, found.attempts, found.flow_run_id) == ("second", 1, None)
    assert found.since == pytest.approx(time.time(), abs=60)


def test_a_living_job_is_left_alone() -> None:
    def look(job: Job) -> None:
        assert lives.crashed() == []
        assert not lives.mark_crashed(job.run_id)
        for act in (lives.drop, reopening.take):
            with pytest.raises(InputError, match="in another process"):
                act(job.run_id)
        lives.tidy()
        assert job.folder.exists()

    run(look)
    assert list(jobs.folders()) == []


def test_neither_fork_nor_exec_keeps_a_dead_job_alive() -> None:
    made: list[Any] = []

    def bear(_: Job) -> None:
        made.append(subprocess.Popen(["sleep", "60"], close_fds=False))
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        made.append(child)

    run_id = die(bear)
    try:
        reopening.take(run_id)[1].release()
    finally:
        made[0].kill()
        made[0].wait()
        os.kill(made[1], signal.SIGKILL)
        os.waitpid(made[1], 0)


def test_kill_minus_nine_lets_go_of_the_job() -> None:
    code = (
        "from tests.pipelines.life.sample_jobs import run; import os, signal;"
        "run(lambda job: os.kill(os.getpid(), signal.SIGKILL))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert only_crashed().stage == "first"
    assert lives.mark_crashed(only_crashed().run_id)


def test_a_crash_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(endings, "notify", lambda event, _, **facts: told.append((event, facts)))
    run_id = die(second.fn)
    assert lives.mark_crashed(run_id)
    assert not lives.mark_crashed(run_id)
    status, tags = _status(run_id)
    assert status == "KILLED"
    assert tags["careledger.ended"].endswith("without a word during second")
    assert tags["careledger.crashed"]
    assert [(event, facts["stage"]) for event, facts in told] == [("crash", "second")]


def test_finished_stages_are_not_repeated_and_the_cut_one_is() -> None:
    run_id = die(second.fn)
    seen: list[Job] = []

    def go_on(job: Job) -> dict[str, int]:
        seen.append(job)
        assert _status(run_id)[0] == "RUNNING"
        assert first.fn(job).read_text() == "1"
        return second.fn(job)

    assert take_up(run_id, go_on) == {"times": 2}
    assert (seen[0].run_id, seen[0].attempt) == (run_id, 2)
    assert seen[0].charge_id == f"{run_id}.2"
    status, tags = _status(run_id)
    assert (status, tags["careledger.resumed"]) == ("FINISHED", "1")
    assert list(jobs.folders()) == []


def test_of_two_that_take_a_job_up_one_does() -> None:
    run_id = die()
    _, held = reopening.take(run_id)
    with pytest.raises(InputError, match="still at work in another process"):
        reopening.take(run_id)
    held.release()
    reopening.take(run_id)[1].release()


def test_what_killed_three_processes_is_closed() -> None:
    def again(_: Job) -> None:
        raise killed()

    run_id = die()
    for _ in range(reopening.MOST_ATTEMPTS - 1):
        with pytest.raises(TerminationSignal):
            take_up(run_id, again)
    with pytest.raises(Refused, match="cut short 3 times"):
        take_up(run_id, again)
    assert _status(run_id)[0] == "FAILED"
    assert list(jobs.folders()) == []


def test_the_attempt_is_on_disk_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = die()

    monkeypatch.setattr(reopening, "RESUMED", "x" * 300)  # MLflow refuses such a tag
    with pytest.raises(MlflowException):
        take_up(run_id, lambda _: None)
    assert jobs.read(jobs.folder_of(run_id)).attempts == 2
    assert only_crashed().attempts == 2


def test_a_dropped_job_leaves_nothing_but_its_run() -> None:
    run_id = die()
    lives.drop(run_id)
    assert list(jobs.folders()) == []
    assert _status(run_id)[0] == "KILLED"
    with pytest.raises(InputError, match="no interrupted run"):
        lives.drop(run_id)


def test_jobs_left_too_long_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    die()
    lives.tidy()
    assert only_crashed()
    monkeypatch.setenv(lives.KEEP, "0")
    lives.tidy()
    assert list(jobs.folders()) == []
    monkeypatch.setenv(lives.KEEP, "soon")
    with pytest.raises(InputError, match="expected a number of days"):
        lives.tidy()


def test_a_job_that_died_as_it_ended_has_ended() -> None:
    run_id = die()
    record = jobs.read(jobs.folder_of(run_id))
    jobs.write(replace(record, ended="FINISHED"))
    assert lives.crashed() == []
    lives.tidy()
    assert _status(run_id)[0] == "FINISHED"
    assert list(jobs.folders()) == []


def test_runs_and_folders_that_never_became_a_job_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = die()
    (jobs.folder_of(run_id) / "job.json").unlink()
    assert lives.crashed() == []
    unborn = jobs.runs_folder() / ".unborn"
    unborn.mkdir()
    lives.tidy()
    assert unborn.exists()  # its process may be at it
    monkeypatch.setattr(lives, "_YOUNG", -1.0)
    lives.tidy()
    assert list(jobs.runs_folder().iterdir()) == []
    assert _status(run_id)[0] == "KILLED"


def test_an_unreadable_record_is_named_and_can_be_dropped() -> None:
    run_id = die()
    (jobs.folder_of(run_id) / "job.json").write_text('{"run_id": ')
    assert only_crashed().run_id == run_id
    with pytest.raises(InputError, match=r"job\.json: cannot be read .*--drop"):
        reopening.take(run_id)
    lives.tidy()
    lives.drop(run_id)
    assert lives.crashed() == []


def test_a_full_disk_interrupts_a_job_and_loses_nothing() -> None:
    @stage()
    def write(job: Job) -> str:
        if job.attempt == 1:
            raise full()
        return first.fn(job).read_text()

    with pytest.raises(Interrupted, match=r"No space left on device.*careledger resume"):
        run(write.fn)
    run_id = only_crashed().run_id
    assert _status(run_id)[0] == "KILLED"
    assert not lives.mark_crashed(run_id)  # it did not end without a word
    assert take_up(run_id, write.fn) == "1"


def test_a_job_whose_own_fault_it_was_is_closed() -> None:
    die(error=InputError("a bad file"))
    die(error=ValueError("a bug"))
    assert list(jobs.folders()) == []


def test_time_in_which_a_job_lay_dead_does_not_count() -> None:
    run_id = die()
    record = jobs.read(jobs.folder_of(run_id))
    jobs.write(replace(record, started=record.started - 3600, began=record.began - 3600))
    spent = take_up(run_id, clock.seconds)
    assert spent["total"] < 60


def test_an_arm_is_logged_once_whatever_was_cut_short() -> None:
    arm = Arm("federated", "arm", {"auroc": 0.7}, 1.0)

    def log(job: Job) -> list[str]:
        tracker = client()
        ids = [log_arm(job, arm)]
        if job.attempt == 1:  # and one that is half written
            experiment = tracker.get_run(job.run_id).info.experiment_id
            tags = {"mlflow.parentRunId": job.run_id}
            tracker.create_run(experiment, tags=tags, run_name="alone")
            return ids
        log_arm(job, Arm("alone", "control", {}, 1.0))
        mine = f"tags.`mlflow.parentRunId` = '{job.run_id}'"
        experiment = tracker.get_run(job.run_id).info.experiment_id
        found = tracker.search_runs([experiment], mine)
        assert all(each.info.status == "FINISHED" for each in found)
        return sorted(each.info.run_name for each in found)

    run_id = die(log)
    assert take_up(run_id, log) == ["alone", "federated"]
