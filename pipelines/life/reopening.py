"""A job whose process is gone, taken up by this one: by a person's word or by a Prefect worker."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mlflow.tracking import MlflowClient

from domains.errors import InputError, Refused
from pipelines.clock import spent_before
from pipelines.life import flow_runs, jobs
from pipelines.life.endings import ENDED, RESUMED, announce, close, how_cut, mark
from pipelines.life.jobs import Hold, Record
from pipelines.progress import say
from pipelines.provenance import git_revision

MOST_ATTEMPTS = 3
"""Processes that may work on one job: what has killed three will kill the fourth."""

_given: tuple[Record, Hold] | None = None


def give(record: Record, held: Hold) -> None:
    """Have the next job that this process opens be this dead one, whose lock is held."""
    global _given
    _given = record, held


def taken_up(tracker: MlflowClient, asked: float) -> tuple[Record, Hold] | None:
    """The dead job that this process is to go on with, in its next attempt; None for a new one.

    The attempt is on disk before anything else is done, so that no two share a number.

    Args:
        tracker: Where its run is.
        asked: Unix time when the attempt was asked for.

    Raises:
        Refused: Too many processes have died over it; it is closed.
        InputError: Another process is at work on it.
    """
    global _given
    found, _given = _given or _of_this_flow_run(), None
    if found is None:
        return None
    record, held = found
    try:
        return _next_attempt(tracker, record, asked), held
    except BaseException:
        held.release()
        raise


def _of_this_flow_run() -> tuple[Record, Hold] | None:
    """The job that this very flow run began in another process: Prefect has started it again."""
    flow_run_id, _ = flow_runs.current()
    if flow_run_id is None:
        return None
    for folder in jobs.folders():
        with suppress(FileNotFoundError, InputError):
            record = jobs.read(folder)
            if record.flow_run_id == flow_run_id and not record.ended:
                return _held(folder)
    return None


def _held(folder: Path) -> tuple[Record, Hold]:
    held = jobs.hold(folder)
    if held is None:
        raise InputError(f"run {folder.name} is still at work in another process")
    try:
        return jobs.read(folder), held
    except BaseException:
        held.release()
        raise


def take(run_id: str) -> tuple[Record, Hold]:
    """A dead job and its lock.

    Raises:
        InputError: There is no such job, its record cannot be read, or a process is at work on it.
    """
    folder = jobs.folder_of(run_id)
    try:
        return _held(folder)
    except FileNotFoundError:
        raise InputError(
            f"no interrupted run {run_id!r}; `careledger resume` without a name resumes all"
        ) from None


def _next_attempt(tracker: MlflowClient, record: Record, asked: float) -> Record:
    record = mark(tracker, record)
    if record.flow_run_id and record.flow_run_id != flow_runs.current()[0]:
        flow_runs.crash(record.flow_run_id, how_cut(record))
    if record.attempts - record.stops >= MOST_ATTEMPTS:
        raise _given_up(tracker, record)
    flow_run_id, deployed = flow_runs.current()
    now = replace(
        record,
        attempts=record.attempts + 1,
        began=asked - spent_before(record.folder),
        flow_run_id=flow_run_id,
        deployed=deployed,
        waits="",
        stopped=False,
        offered=0,
    )
    jobs.write(now)
    tracker.update_run(record.run_id, "RUNNING")
    tracker.set_tag(record.run_id, RESUMED, str(now.attempts - 1))
    tracker.set_tag(record.run_id, ENDED, "")
    (record.folder / "progress").unlink(missing_ok=True)  # the bar of another flow run
    own = f"attempt {now.attempts - now.stops} of {MOST_ATTEMPTS}"
    say(f"{record.name}: run {record.run_id} goes on, {own}")
    if record.revision != git_revision():
        say(f"the code has changed since it began, from {record.revision[:12]}")
    return now


def _given_up(tracker: MlflowClient, record: Record) -> Refused:
    """Close a job that has killed too many processes; returns what to say."""
    stage = jobs.stage_of(record.folder)
    said = Refused(
        f"{record.name}: run {record.run_id} was cut short {record.attempts - record.stops} times, "
        f"last during "
        f"{stage}; it is closed, and what it was charged stays charged: find out what ends it, "
        "then train again"
    )
    close(tracker, record, "FAILED", str(said))
    announce(record, RuntimeError(), f"cut short {record.attempts} times, closed")
    return said
