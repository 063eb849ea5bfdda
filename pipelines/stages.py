"""Stages of a flow: plain functions that Prefect runs as tasks and a clock watches.

What a stage returns is written down before the next one begins, so that a job whose process dies
goes on from there.
"""

from __future__ import annotations

import functools
import json
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext

from domains import durable
from domains.errors import InputError, Interrupted, Refused, StageFailed
from domains.sources import Unreachable
from pipelines.clock import Kind, clock
from pipelines.life import jobs, kept
from pipelines.life.endings import is_public
from pipelines.life.outside import outside
from pipelines.progress import say, show_progress
from pipelines.tracking import Job

P = ParamSpec("P")
R = TypeVar("R")

_BEGUN = ".begun"


def stage(
    kind: Kind = "work", retries: int = 0
) -> Callable[[Callable[Concatenate[Job, P], R]], Task[Concatenate[Job, P], R]]:
    """Make a plain function with a `Job` as first argument a Prefect task.

    What it returns is kept in the job's folder as JSON, typed by the function's annotation, and a
    later process that takes the job up reads it there instead of running the stage. A stage that
    was cut short runs again in the same folder, and so every stage must bear what it has left
    there.

    Prefect caches nothing: hashing arrays costs more than it saves. It repeats only fetching
    (`retries`), and that only when the network was out of reach; never training, charging or
    registering.
    """

    def wrap(function: Callable[Concatenate[Job, P], R]) -> Task[Concatenate[Job, P], R]:
        name = function.__name__.replace("_", " ")

        @functools.wraps(function)
        def timed(job: Job, *args: P.args, **kwargs: P.kwargs) -> R:
            path = _path(job, function.__name__)
            if path.exists():
                say(f"{job.name}: {name}: done before")
            else:
                say(f"{job.name}: {name}")
                path.with_suffix(_BEGUN).touch()
                with clock(job, kind, name), _no_record_in_errors(job, name):
                    _keep(job, path, function(job, *args, **kwargs))
            show_progress(job, len(_finished(job)))
            return _read(path, function)

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


def begun(job: Job, name: str) -> bool:
    """Whether a stage was begun, by this process or one before it; `name` is its function's."""
    return any(jobs.stages_folder(job.folder).glob(f"[0-9][0-9]-{name}{_BEGUN}"))


def _finished(job: Job) -> list[Path]:
    return sorted(jobs.stages_folder(job.folder).glob("*.json"))


def _path(job: Job, name: str) -> Path:
    """Where a stage's result is or will be: numbered in the order of the flow."""
    folder = jobs.stages_folder(job.folder)
    folder.mkdir(exist_ok=True)
    for path in folder.glob(f"[0-9][0-9]-{name}.*"):
        return path.with_suffix(".json")
    return folder / f"{len(_finished(job)) + 1:02d}-{name}.json"


def _keep(job: Job, path: Path, done: Any) -> None:
    """Write a result down, after the files it speaks of."""
    since = path.with_suffix(_BEGUN).stat().st_mtime
    for file in job.folder.rglob("*"):
        if file.is_file() and file.stat().st_mtime >= since:
            durable.flush(file)
    durable.write(path, json.dumps(kept.encode(done)))


def _read(path: Path, function: Callable[..., R]) -> R:
    """What a stage handed on. The first process reads it too, so that a result that would come
    back otherwise than it went shows at once.

    Raises:
        InputError: It was written by other code than this.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        found: R = kept.decode(get_type_hints(function)["return"], value)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read by this version of the code ({type(error).__name__}); "
            "go on with the version that began the job, or drop the job with "
            f"`careledger resume {path.parents[1].name} --drop` and train again"
        ) from error
    return found


def _may_pass(_: Any, __: Any, state: Any) -> bool:
    """Only a network that could not be reached is worth another try."""
    return isinstance(state.result(raise_on_failure=False), Unreachable)


@contextmanager
def _no_record_in_errors(job: Job, name: str) -> Iterator[None]:
    """Keep the text of unforeseen errors, which may quote a record, out of Prefect's log.

    Errors that are meant for people pass as they are, but for what is wrong with private records:
    in a flow, where Prefect's server and log keep the text, it is for the terminal alone. With
    --debug everything passes but what only interrupts the job: that it can go on must be known.
    """
    try:
        yield
    except InputError as error:
        if is_public(job.config) or not _kept_by_prefect() or os.environ.get("CARELEDGER_DEBUG"):
            raise
        raise _untold(error, name) from None
    except (Refused, Interrupted):
        raise
    except Exception as error:
        if reason := outside(error):
            raise Interrupted(
                f"{job.name}: {name} was interrupted: {reason}; what was done is kept: mend that, "
                f"then `careledger resume {job.run_id}`"
            ) from (error if os.environ.get("CARELEDGER_DEBUG") else None)
        if os.environ.get("CARELEDGER_DEBUG"):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        raise StageFailed(f"{name} failed with {type(error).__name__} at {where}") from None


def _kept_by_prefect() -> bool:
    """Whether this is a task of a flow: how it ends is then written down, and in a run of a
    deployment printed to its log too."""
    return TaskRunContext.get() is not None


def _untold(error: InputError, name: str) -> InputError:
    """What Prefect may keep of an error about private records."""
    said = InputError(
        f"{name}: InputError; what is wrong with private records is told on the terminal alone: "
        "run the same configuration there with `careledger train`"
    )
    said.told = str(error)
    return said
