"""How a job ends: well, by an error, or without a word; told once to MLflow and to people."""

from __future__ import annotations

import shutil
import time
from asyncio import CancelledError
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from domains.errors import InputError, Interrupted, Refused, StageFailed, Waiting
from pipelines.acting import now
from pipelines.environment import time_limit
from pipelines.life import jobs
from pipelines.life.jobs import Record
from pipelines.notices.notify import notify
from pipelines.progress import say

ENDED, CRASHED, RESUMED = "careledger.ended", "careledger.crashed", "careledger.resumed"


def close(tracker: MlflowClient, record: Record, status: str, why: str = "") -> None:
    """End a job for good: its run gets a status, its scratch, which may hold records, goes.

    The job's lock must be held. The status is on disk before anything else, so that a process that
    dies in here leaves nothing to decide.

    Args:
        tracker: Where its run is.
        record: The job.
        status: `FINISHED`, `FAILED` or `KILLED`.
        why: How it ended, for its run; nothing from a private record.
    """
    with suppress(OSError):  # a full disk: the scratch that goes next may be what fills it
        jobs.write(replace(record, ended=status))
    if _tell(tracker, record.run_id, status, why):
        shutil.rmtree(record.folder, ignore_errors=True)


def mark(tracker: MlflowClient, record: Record) -> Record:
    """Say once that a job's process ended without a word, or was stopped on purpose, which is only
    written down. The job's lock must be held.

    Returns:
        The record as it now stands.
    """
    if record.marked == record.attempts:
        return record
    stage = jobs.stage_of(record.folder)
    marked = replace(record, marked=record.attempts, marked_at=time.time())
    jobs.write(marked)
    if record.stopped:
        _tell(tracker, record.run_id, "KILLED", f"{how_cut(record)} during {stage}")
        return marked
    why = f"crashed: {how_cut(record)} during {stage}"
    _tell(tracker, record.run_id, "KILLED", why, {CRASHED: f"{now()} during {stage}"})
    notify(
        "crash",
        f"{record.name}: the training run's process ended without a word during {stage}",
        run_id=record.run_id,
        pipeline=record.pipeline,
        model=record.name,
        stage=stage,
        attempt=str(record.attempts),
    )
    return marked


def how_cut(record: Record) -> str:
    """How the process of a job without one came to its end."""
    return "stopped by make down" if record.stopped else "its process ended without a word"


def pause(tracker: MlflowClient, record: Record, error: Interrupted) -> None:
    """Leave a job that the machine or a server has stopped for `careledger resume`."""
    with suppress(OSError):
        jobs.write(replace(record, marked=record.attempts, marked_at=time.time()))
    _tell(tracker, record.run_id, "KILLED", f"interrupted: {error}")
    _announce("failure", record, f"was interrupted: {error}")


def wait(tracker: MlflowClient, record: Record, error: Waiting) -> None:
    """Leave a job that was refused what it needs to go on for `careledger resume`, after a grant.

    It has spent nothing in this attempt, which therefore does not count as one.
    """
    before = max(record.attempts - 1, 1)
    kept = replace(record, attempts=before, marked=before, marked_at=time.time(), waits=str(error))
    with suppress(OSError):
        jobs.write(kept)
    text = f"Refused: {error}"
    _tell(tracker, record.run_id, "FAILED", text)
    announce(record, error, text)


def announce(record: Record, error: BaseException, text: str) -> None:
    """Tell people of a refusal or a failure; whoever pressed Ctrl-C knows already."""
    if not isinstance(error, KeyboardInterrupt):
        event = "refusal" if isinstance(error, Refused) else "failure"
        _announce(event, record, f"ended: {text}")


def wording(error: BaseException, config: Any) -> str:
    """How a job ended, for its run. What is wrong with private records is told on the terminal
    alone, and of an unforeseen error its type and place: its text may hold a record."""
    public = is_public(config)
    if isinstance(error, Refused | Interrupted | StageFailed) or (
        isinstance(error, InputError) and public
    ):
        return f"{type(error).__name__}: {error}"[:5000]
    if isinstance(error, CancelledError):  # how Prefect interrupts a flow
        limit = time_limit()
        return "stopped by Prefect" + (f": its time limit is {limit:g} s" if limit else "")
    return type(error).__name__


def is_public(config: Any) -> bool:
    """Whether a job's records are public: built-in ones, or said to be."""
    return config.data.path is None or bool(config.data.public)


def _announce(event: Any, record: Record, text: str) -> None:
    notify(
        event,
        f"{record.name}: the training run {text}",
        run_id=record.run_id,
        pipeline=record.pipeline,
        model=record.name,
    )


def _tell(
    tracker: MlflowClient, run_id: str, status: str, why: str, tags: dict[str, str] | None = None
) -> bool:
    """Write a run's end to MLflow; False when its server does not answer, so that it can be
    written later."""
    try:
        for key, text in {**({ENDED: why} if why else {}), **(tags or {})}.items():
            tracker.set_tag(run_id, key, text)
        tracker.set_terminated(run_id, status)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # a run of another store, or deleted
            return True
        say(f"run {run_id}: MLflow does not take its end ({status}); it will be told again")
        return False
    return True
