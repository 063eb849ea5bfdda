"""Small jobs that die, without a process dying for it."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prefect.exceptions import TerminationSignal

from pipelines.life import lives, reopening
from pipelines.settings import Job as JobConfig
from pipelines.settings import load_config
from pipelines.stages import stage
from pipelines.tracking import Job, open_job

Work = Callable[[Job], Any]


def killed() -> TerminationSignal:
    """The end of a process that leaves everything as kill -9 does."""
    return TerminationSignal(signal.SIGTERM)


def full() -> OSError:
    """The end of a disk."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@stage()
def first(job: Job) -> Path:
    """Counts how often it ran."""
    path = job.folder / "first.txt"
    path.write_text((path.read_text() if path.exists() else "") + "1")
    return path


def run(work: Work, config: JobConfig | None = None) -> Any:
    """A flow of `first` and some work."""
    with open_job("credit", config or load_config("credit"), stages=2) as job:
        first.fn(job)
        return work(job)


def die(work: Work | None = None, error: BaseException | None = None) -> str:
    """A job that dies after some work; its run id."""
    seen: list[str] = []

    def work_and_die(job: Job) -> None:
        seen.append(job.run_id)
        if work is not None:
            work(job)
        raise error or killed()

    with suppress(TerminationSignal, Exception):
        run(work_and_die)
    return seen[0]


@contextmanager
def taken_up(run_id: str) -> Iterator[None]:
    """Another process, which goes on with a dead job."""
    record, held = reopening.take(run_id)
    try:
        reopening.give(record, held)
        yield
    finally:
        held.release()


def take_up(run_id: str, work: Work) -> Any:
    """Another process goes on with a dead job of `run`."""
    with taken_up(run_id):
        return run(work)


def only_crashed() -> lives.Crashed:
    """The one dead job there is."""
    (found,) = lives.crashed()
    return found
