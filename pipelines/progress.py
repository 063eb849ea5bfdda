"""Progress of long work: lines on standard error, and a bar in Prefect.

Standard output belongs to the answer.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING
from uuid import UUID

from pipelines.acting import now

if TYPE_CHECKING:
    from pipelines.tracking import Job

_STARTED = time.monotonic()
_when = False


def say_when() -> None:
    """From here on begin every line with the moment in UTC: for a log that several processes
    write to, one after another, for months."""
    global _when
    _when = True


def say(text: str) -> None:
    """One line with the seconds since the program started, or with the moment."""
    begin = now() if _when else f"{time.monotonic() - _STARTED:7.1f} s"
    print(f"{begin}  {text}", file=sys.stderr, flush=True)


def show_progress(job: Job, done: int) -> None:
    """Move the job's bar in Prefect's pages; without a flow there is none."""
    from prefect.artifacts import create_progress_artifact, update_progress_artifact
    from prefect.context import FlowRunContext, TaskRunContext

    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    share, bar = min(100.0 * done / job.stages, 100.0), job.folder / "progress"
    if bar.exists():
        update_progress_artifact(UUID(bar.read_text()), progress=share)
    else:
        bar.write_text(str(create_progress_artifact(share, description=job.name)))
