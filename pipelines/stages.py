"""Stages of a flow: plain functions that Prefect runs as tasks and a clock watches.

The clock tells plain work from what Prefect, MLflow and reports add, and so every run's JSON can
say how much (`seconds.orchestration`).
"""

from __future__ import annotations

import functools
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE

from domains.errors import InputError, Refused
from domains.sources import Unreachable
from pipelines.progress import say, show_progress
from pipelines.tracking import Job

Kind = Literal["work", "training", "orchestration"]
P = ParamSpec("P")
R = TypeVar("R")

_CLOCK = "seconds.jsonl"


def stage(
    kind: Kind = "work", retries: int = 0
) -> Callable[[Callable[Concatenate[Job, P], R]], Task[Concatenate[Job, P], R]]:
    """Make a plain function with a `Job` as first argument a Prefect task.

    Nothing is cached: what a stage needs is on disk under the job's folder, and hashing arrays
    costs more than it saves. Only a stage that may safely run twice gives `retries`: fetching,
    which is idempotent, and only when the network was out of reach. Training, charging and
    registering are never repeated by Prefect.
    """

    def wrap(function: Callable[Concatenate[Job, P], R]) -> Task[Concatenate[Job, P], R]:
        name = function.__name__.replace("_", " ")

        @functools.wraps(function)
        def timed(job: Job, *args: P.args, **kwargs: P.kwargs) -> R:
            say(f"{job.name}: {name}")
            with clock(job, kind), _no_record_in_errors(name):
                done = function(job, *args, **kwargs)
            show_progress(job, len(_entries(job.folder / _CLOCK)))
            return done

        return Task(
            timed,
            name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=retries,
            retry_delay_seconds=1,
            retry_condition_fn=_may_pass,
        )

    return wrap


def _may_pass(_: Any, __: Any, state: Any) -> bool:
    """Only a network that could not be reached is worth another try."""
    return isinstance(state.result(raise_on_failure=False), Unreachable)


class StageFailed(RuntimeError):
    """An unforeseen error in a stage: its type and place, without its text."""


@contextmanager
def _no_record_in_errors(name: str) -> Iterator[None]:
    """Keep the text of unforeseen errors, which may quote a record, out of Prefect's log.

    Errors that are meant for people pass as they are. With --debug everything does.
    """
    try:
        yield
    except (InputError, Refused):
        raise
    except Exception as error:
        if os.environ.get("CARELEDGER_DEBUG"):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        raise StageFailed(f"{name} failed with {type(error).__name__} at {where}") from None


@contextmanager
def clock(job: Job, kind: Kind) -> Iterator[None]:
    """Add the wall time of a block to the job's account."""
    started = time.perf_counter()
    try:
        yield
    finally:
        line = json.dumps({"kind": kind, "seconds": time.perf_counter() - started})
        with (job.folder / _CLOCK).open("a") as stream:
            stream.write(line + "\n")


def seconds(job: Job) -> dict[str, float]:
    """`total` since the job was asked for, `training`, and `orchestration`: all but plain work."""
    spent = {"work": 0.0, "training": 0.0}
    for entry in _entries(job.folder / _CLOCK):
        if entry["kind"] in spent:
            spent[entry["kind"]] += entry["seconds"]
    total = time.time() - job.started
    return {
        "total": round(total, 3),
        "training": round(spent["training"], 3),
        "orchestration": round(max(total - sum(spent.values()), 0.0), 3),
    }


def _entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
