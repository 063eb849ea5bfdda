"""Where a job's time goes.

The clock tells plain work from what Prefect, MLflow and reports add, and so every run's JSON can
say how much (`seconds.orchestration`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pipelines.tracking import Job

Kind = Literal["work", "training", "orchestration"]

_ACCOUNT = "seconds.jsonl"


@contextmanager
def clock(job: Job, kind: Kind, stage: str = "") -> Iterator[None]:
    """Add the wall time of a block to the job's account: a whole stage's, or of a part of one."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = time.perf_counter() - started
        line = json.dumps({"kind": kind, "seconds": spent, "stage": stage})
        with (job.folder / _ACCOUNT).open("a") as stream:
            stream.write(line + "\n")


def seconds(job: Job) -> dict[str, float]:
    """`total` since the job was asked for, `training`, and `orchestration`: all but plain work.

    Of a job that was taken up again, the time in which it lay dead is left out, and so is the work
    that was lost; the stages that earlier processes finished count.
    """
    spent = {"work": 0.0, "training": 0.0}
    for entry in _entries(job.folder):
        if entry["kind"] in spent:
            spent[entry["kind"]] += entry["seconds"]
    total = time.time() - job.started
    return {
        "total": round(total, 3),
        "training": round(spent["training"], 3),
        "orchestration": round(max(total - sum(spent.values()), 0.0), 3),
    }


def spent_before(folder: Path) -> float:
    """Seconds of all the stages that a job has finished."""
    return sum(entry["seconds"] for entry in _entries(folder) if entry["stage"])


def _entries(folder: Path) -> list[dict[str, Any]]:
    """Lines of the account; one that a power cut left half written is passed over."""
    path, found = folder / _ACCOUNT, []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found
