"""A scheduled run of scoring in the log of acts: a line when it begins, one when it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from pipelines.governance import activity
from pipelines.life.flow_runs import told_to_end
from pipelines.notices.notify import notify
from pipelines.scoring.wording import reason

KIND = "round"


@dataclass
class Round:
    """What a run has done so far: inputs scored and not scored, rows, rejected rows, and how many
    warnings the inputs' own lines in the log hold."""

    files: int = 0
    failed: int = 0
    rows: int = 0
    rejected: int = 0
    warnings: int = 0


@contextmanager
def noted(run_id: str, model: str) -> Iterator[Round]:
    """Note the run around a block, and tell people where it fails before it comes to a file.

    Args:
        run_id: Prefect's; a run that is begun again in another process is noted again.
        model: Its name, without alias or version.
    """
    done, started = Round(), time.monotonic()
    me = psutil.Process()
    _note(run_id, model, ended=None, pid=os.getpid(), began=me.create_time())
    try:
        yield done
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or told_to_end(error)
        why = "" if stopped else reason(error)
        _note(run_id, model, ended="stopped" if stopped else "failed", why=why,
              seconds=_since(started), **vars(done))  # fmt: skip
        if not stopped and not done.failed:
            notify("failure", f"{model}: the scheduled scoring failed: {why}", model=model,
                   flow_run_id=run_id)  # fmt: skip
        raise
    _note(run_id, model, ended="finished", seconds=_since(started), **vars(done))


def _note(run_id: str, model: str, **facts: Any) -> None:
    with suppress(OSError):  # a full disk holds no run up
        activity.note(KIND, run=run_id, model=model, **facts)


def _since(started: float) -> float:
    return round(time.monotonic() - started, 1)
