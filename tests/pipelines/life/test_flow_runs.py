"""Flow runs of dead jobs: told to the server, given back to its workers, taken up by them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Completed, Running, Scheduled, State

from pipelines.life import flow_runs, jobs, lives
from tests.pipelines.life.sample_jobs import die, run

pytestmark = pytest.mark.usefixtures("home", "prefect_server")
NOBODY = "00000000-0000-0000-0000-000000000000"


@flow(name="training")
def training() -> tuple[str, int]:
    """A small job; which one it was, and its attempt."""
    found: tuple[str, int] = run(lambda job: (job.run_id, job.attempt))
    return found


@pytest.fixture
def server() -> Iterator[Any]:
    with get_client(sync_client=True) as client:
        yield client


def _begun(server: Any, state: State) -> str:
    made = server.create_flow_run(training)
    server.set_flow_run_state(made.id, state, force=True)
    return str(made.id)


def _state(server: Any, flow_run_id: str) -> str:
    return str(server.read_flow_run(flow_run_id).state.name)


def test_a_flow_run_that_looks_alive_is_crashed_and_a_finished_one_left(server: Any) -> None:
    running, done = _begun(server, Running()), _begun(server, Completed())
    assert flow_runs.crash(running, "gone")
    assert flow_runs.crash(done, "gone")
    assert (_state(server, running), _state(server, done)) == ("Crashed", "Completed")
    assert not flow_runs.crash(NOBODY, "gone")


def test_a_crashed_flow_run_goes_back_into_its_queue_once(server: Any) -> None:
    run_id = _begun(server, Running())
    assert flow_runs.offer(run_id, dead_since=0.0) == "under way"
    assert flow_runs.offer(run_id, dead_since=time.time() + 1) == "offered"
    assert _state(server, run_id) == "AwaitingRetry"
    assert flow_runs.offer(run_id, dead_since=time.time() + 1) == "under way"
    assert flow_runs.offer(_begun(server, Cancelled()), 0.0) == "cancelled"
    assert flow_runs.offer(NOBODY, 0.0) == "unknown"


def test_a_withdrawn_flow_run_is_cancelled(server: Any) -> None:
    waiting, done = _begun(server, Scheduled()), _begun(server, Completed())
    flow_runs.withdraw(waiting)
    flow_runs.withdraw(done)
    assert (_state(server, waiting), _state(server, done)) == ("Cancelled", "Completed")


def test_without_a_server_none_is_started() -> None:
    with temporary_settings({PREFECT_API_URL: None}):
        assert not flow_runs.crash(NOBODY, "gone")
        assert flow_runs.offer(NOBODY, 0.0) == "unknown"
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert flow_runs.offer(NOBODY, 0.0) == "unknown"


def _deployed(flow_run_id: str) -> str:
    """A dead job of a deployment's flow run."""
    run_id = die()
    record = jobs.read(jobs.folder_of(run_id))
    jobs.write(replace(record, flow_run_id=flow_run_id, deployed=True))
    return run_id


def test_a_supervisor_gives_a_dead_job_back_to_the_workers(server: Any) -> None:
    flow_run_id = _begun(server, Running())
    run_id = _deployed(flow_run_id)
    assert lives.recover(run_id) == "offered"
    assert _state(server, flow_run_id) == "AwaitingRetry"
    assert lives.recover(run_id) == "under way"
    for _ in range(2):  # its processes die before they come to the job
        flow_runs.crash(flow_run_id, "gone")
        assert lives.recover(run_id) == "offered"
    flow_runs.crash(flow_run_id, "gone")
    assert lives.recover(run_id) == "dropped"
    assert lives.crashed() == []


def test_a_cancelled_flow_run_is_not_taken_up(server: Any) -> None:
    run_id = _deployed(_begun(server, Cancelled()))
    assert lives.recover(run_id) == "dropped"
    assert lives.crashed() == []


def test_a_job_of_nobody_is_left_to_the_supervisor() -> None:
    assert lives.recover(die()) == "resume"
    assert lives.recover(_deployed(NOBODY)) == "resume"


def test_the_same_flow_run_goes_on_with_its_job(server: Any) -> None:
    flow_run_id = _begun(server, Running())
    run_id = _deployed(flow_run_id)
    assert lives.recover(run_id) == "offered"
    again = server.read_flow_run(flow_run_id)
    assert run_flow(training, flow_run=again) == (run_id, 2)
    assert _state(server, flow_run_id) == "Completed"
    assert lives.crashed() == []
    assert training()[1] == 1  # another flow run is another job
