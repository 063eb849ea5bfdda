"""Jobs whose process died: found, told, gone on with, or dropped."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import ViewType
from pydantic import ValidationError

from domains.errors import InputError
from pipelines import run
from pipelines.clock import spent_before
from pipelines.life import endings, flow_runs, jobs, reopening
from pipelines.life.jobs import Record
from pipelines.progress import say
from pipelines.settings import CONFIGS, Job
from pipelines.tracking import client

KEEP = "CARELEDGER_KEEP_CRASHED_DAYS"
"""Days after which a job that nobody took up again is dropped; its scratch may hold records."""

_DAYS = 7.0
_YOUNG = 300.0  # seconds that a run may be without a folder: its process has just begun
_OFFERS = 3
Result = dict[str, Any]
Recovery = Literal["offered", "under way", "dropped", "resume", "waiting"]


@dataclass(frozen=True)
class Crashed:
    """A job whose process ended without a word.

    Attributes:
        run_id: Its MLflow run.
        pipeline, name: `imaging`, `patients` or `credit`, and the model it registers.
        stage: The stage it was in.
        attempts: Processes that have worked on it.
        flow_run_id: Its Prefect flow run, if that was one of a deployment.
        since: Unix time when its last attempt began.
        waits: What it was refused and waits for, where it did not crash.
        stopped: Whether `make down` has ended its process.
    """

    run_id: str
    pipeline: str
    name: str
    stage: str
    attempts: int
    flow_run_id: str | None
    since: float
    waits: str = ""
    stopped: bool = False


def crashed() -> list[Crashed]:
    """Every job that has no process and did not end, oldest first.

    One whose record cannot be read is among them, with what is known of it.
    """
    found = []
    for folder in jobs.folders():
        with suppress(FileNotFoundError):
            record = _record(folder)
            if not (record.ended or jobs.is_alive(folder)):
                found.append(_crashed(record))
    return sorted(found, key=lambda each: each.since)


def mark_crashed(run_id: str) -> bool:
    """Tell MLflow, Prefect and people that a job's process is gone; the second time nobody.

    Returns:
        Whether this call did; False where it was told before or the job lives.
    """
    with _dead(run_id) as record:
        if record is None or record.marked == record.attempts:
            return False
        endings.mark(client(), record)
        if record.flow_run_id:
            flow_runs.crash(record.flow_run_id, endings.how_cut(record))
        return True


def recover(run_id: str) -> Recovery:
    """What a supervisor does about a crashed job, any number of times.

    It is marked. The run of a deployment is put back into Prefect's queue, for the worker that
    takes it up finds the job; one that somebody cancelled is dropped.

    Returns:
        `resume` where nobody else will take it up: call `resume` in a process of its own.
    """
    mark_crashed(run_id)
    with _dead(run_id) as record:
        if record is None:
            return "under way"
        if record.waits:
            return "waiting"
        if not record.deployed or record.flow_run_id is None:
            return "resume"
        if record.offered >= _OFFERS:  # its processes die before they come to it
            _drop(record, "FAILED", f"given to Prefect's workers {_OFFERS} times in vain")
            return "dropped"
        answer = flow_runs.offer(record.flow_run_id, record.marked_at)
        if answer == "cancelled":
            _drop(record, "KILLED", "cancelled")
            return "dropped"
        if answer == "unknown":
            return "resume"
        if answer == "offered":
            jobs.write(replace(record, offered=record.offered + 1))
        return answer


def resume(run_id: str) -> Result:
    """Go on with a crashed job from its last finished stage or checkpoint, in this process.

    Returns:
        The JSON of a training run.

    Raises:
        InputError: There is no such job, a process is at work on it, or its record is unreadable.
        Refused: It has been cut short too often and is closed; or what the run itself refuses.
    """
    started = run.prepare()
    record, held = reopening.take(run_id)
    try:
        config = _config(record)
        if record.deployed and record.flow_run_id:
            flow_runs.withdraw(record.flow_run_id)
        reopening.give(record, held)
        return run.perform(record.pipeline, config, started, spent_before(record.folder))
    finally:
        held.release()


def _config(record: Record) -> Job:
    try:
        return CONFIGS[record.pipeline].model_validate(record.config)
    except ValidationError:
        raise InputError(
            f"run {record.run_id}: its configuration is none that this version of the code takes; "
            f"go on with version {record.revision[:12]}, or drop it with "
            f"`careledger resume {record.run_id} --drop`"
        ) from None


def describe(dead: Crashed) -> str:
    """One line for a person: what was cut short, and what can be done about it."""
    if dead.waits:
        return f"{dead.name}: run {dead.run_id} waits: {dead.waits}"
    how = "stopped by make down" if dead.stopped else "cut short"
    return (
        f"{dead.name}: run {dead.run_id} was {how} during {dead.stage}; "
        f"`careledger resume {dead.run_id}` goes on with it, with --drop removes it"
    )


def drop(run_id: str) -> None:
    """Close a crashed job and remove its scratch. What it was charged stays charged.

    Raises:
        InputError: There is no such job, or a process is at work on it.
    """
    folder = jobs.folder_of(run_id)
    if not folder.is_dir():
        raise InputError(f"no interrupted run {run_id!r}")
    held = jobs.hold(folder)
    if held is None:
        raise InputError(f"run {run_id} is at work in another process; end that one first")
    try:
        _drop(_record(folder), "KILLED", "dropped by a person")
    finally:
        held.release()


def tidy() -> None:
    """Clear up after dead jobs: those that had ended, those left too long, runs without a job."""
    limit = time.time() - _keep_days() * 86400
    for folder in list(jobs.folders()):
        with _dead(folder.name) as record:
            if record is None:
                continue
            if record.ended:
                endings.close(client(), record, record.ended)
            elif record.began < limit:
                say(f"run {record.run_id} ({record.name}) was left for {_keep_days():g} days")
                _drop(record, "KILLED", "left too long")
    for folder in jobs.unborn():
        if folder.stat().st_mtime < time.time() - _YOUNG:
            shutil.rmtree(folder, ignore_errors=True)
    _end_without_folder()


def _end_without_folder() -> None:
    """Runs whose process died between MLflow's answer and the job's folder."""
    tracker = client()
    experiments = [e.experiment_id for e in tracker.search_experiments() if _ours(e.name)]
    if not experiments:
        return
    mine = f"attributes.status = 'RUNNING' and tags.`{jobs.HOME_TAG}` = '{jobs.home_mark()}'"
    for found in tracker.search_runs(experiments, mine, ViewType.ACTIVE_ONLY):
        young = found.info.start_time / 1000 > time.time() - _YOUNG
        if not young and not jobs.folder_of(found.info.run_id).exists():
            tracker.set_tag(found.info.run_id, endings.ENDED, "ended before its job began")
            tracker.set_terminated(found.info.run_id, "KILLED")


def _ours(experiment: str) -> bool:
    return experiment in {f"careledger-{pipeline}" for pipeline in CONFIGS}


@contextmanager
def _dead(run_id: str) -> Iterator[Record | None]:
    """A dead job's record while its lock is held; None where it lives or is gone."""
    folder = jobs.folder_of(run_id)
    try:
        held = jobs.hold(folder, wait=0.5)
    except FileNotFoundError:
        yield None
        return
    if held is None:
        yield None
        return
    try:
        yield _readable(folder)
    finally:
        held.release()


def _readable(folder: Path) -> Record | None:
    try:
        return jobs.read(folder)
    except FileNotFoundError:  # died before it was written down: nothing is in there
        shutil.rmtree(folder, ignore_errors=True)
        return None
    except InputError:
        return None


def _record(folder: Path) -> Record:
    try:
        return jobs.read(folder)
    except InputError:
        return Record(
            run_id=folder.name,
            pipeline="unknown",
            name="unreadable job.json",
            config={},
            started=0.0,
            began=folder.stat().st_mtime,
            stages=0,
            revision="",
        )


def _drop(record: Record, status: str, why: str) -> None:
    if record.deployed and record.flow_run_id:
        flow_runs.withdraw(record.flow_run_id)
    endings.close(client(), record, status, why)


def _crashed(record: Record) -> Crashed:
    return Crashed(
        record.run_id,
        record.pipeline,
        record.name,
        jobs.stage_of(record.folder),
        record.attempts,
        record.flow_run_id if record.deployed else None,
        record.began,
        record.waits,
        record.stopped,
    )


def _keep_days() -> float:
    try:
        return float(os.environ.get(KEEP) or _DAYS)
    except ValueError:
        raise InputError(f"{KEEP}={os.environ[KEEP]!r}: expected a number of days") from None
