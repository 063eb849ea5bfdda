"""Take up what crashed: jobs from their last stage or checkpoint, other runs from their start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter

from domains.errors import InputError
from pipelines import progress
from pipelines.life import flow_runs, jobs, lives
from pipelines.progress import say
from pipelines.services import processes, records
from pipelines.services.plan import POOL, Service, surroundings

RESUME = "flow-resume-"
"""Names the process of a resumed job that is no deployment's; the job's run id follows."""
STUCK = 300.0
"""Seconds after which a run that a worker took and that has no process was lost with it."""
_MOST_STARTS = 3


def recover() -> int:
    """Mark what crashed, and have it resumed: by the worker, or in a process started here."""
    progress.say_when()
    for record in records.flows():
        if not records.alive(record):
            flow_run_id = record.name.removeprefix("flow-")
            if not record.name.startswith(RESUME) and not _has_job(flow_run_id):
                _begin_anew(flow_run_id)
            processes.end([record])  # what it had started itself
    for flow_run_id in _stuck():
        _begin_anew(flow_run_id)
    lives.tidy()
    for dead in lives.crashed():
        answer = lives.recover(dead.run_id)
        how = "stopped by make down" if dead.stopped else "cut short"
        say(f"{dead.name}: run {dead.run_id} was {how} during {dead.stage}: {answer}")
        if answer == "resume":
            _resume(dead.run_id)
    return 0


def _has_job(flow_run_id: str) -> bool:
    """Whether a job belongs to a flow run: then it goes on from its last stage."""
    for folder in jobs.folders():
        with suppress(FileNotFoundError, InputError):
            if jobs.read(folder).flow_run_id == flow_run_id:
                return True
    return False


def _begin_anew(flow_run_id: str) -> None:
    """Give a run that had not come to a job back to the workers, a few times at most."""
    flow_runs.crash(flow_run_id, "its process ended without a word")
    with get_client(sync_client=True) as client:
        starts = client.read_flow_run(UUID(flow_run_id)).run_count
    answer = "given up"
    if starts < _MOST_STARTS:
        answer = flow_runs.offer(flow_run_id, datetime.now(UTC).timestamp())
    say(f"flow run {flow_run_id} lost its process: {answer}")


def _stuck() -> Iterator[str]:
    """Runs of the pool that a worker took, and died before it gave them a process."""
    alive = {record.name for record in records.flows() if records.alive(record)}
    pending = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING"]}}})
    pool = WorkPoolFilter.model_validate({"name": {"any_": [POOL]}})
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=pending, work_pool_filter=pool)
    for run in found:
        old = run.state.timestamp < datetime.now(UTC) - timedelta(seconds=STUCK)
        if old and f"flow-{run.id}" not in alive:
            yield str(run.id)


def _resume(run_id: str) -> None:
    """Resume a job in a process of its own, one at a time: they share what one needs."""
    busy = [r for r in records.flows() if r.name.startswith(RESUME) and records.alive(r)]
    if not busy:
        processes.start(
            Service(
                name=f"{RESUME}{run_id}",
                command=("pipelines.cli", "resume", run_id),
                environment=surroundings(),
            )
        )
