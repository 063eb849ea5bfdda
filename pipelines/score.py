"""Scoring as a Prefect flow: one file, or whatever came into a folder since the last time."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from domains.errors import InputError, Interrupted, Refused, StageFailed
from pipelines.environment import time_limit
from pipelines.progress import say
from pipelines.scoring.batch import Result, score_file
from pipelines.scoring.inbox import waiting
from pipelines.scoring.output import KINDS
from pipelines.settings import ScoreConfig, writable_home


@flow(name="score", timeout_seconds=time_limit())
def score(config: ScoreConfig) -> dict[str, Any]:
    """Score with the version that an alias points to now.

    Where `output` is a folder, `input` is a folder of inputs, and each that has no output yet is
    scored; one that fails does not hold the others up. Relative paths are seen from the home
    folder.

    Returns:
        `model` as asked for, and `files`: the JSON of each scoring.

    Raises:
        InputError: Not every input could be scored.
        Interrupted: The disk is full; what is finished is kept for the next time.
    """
    orders = orders_of(config, writable_home())
    if not orders:
        say(f"{config.model}: nothing new to score")
    done: list[Result] = []
    failed: list[str] = []
    for order in orders:
        try:
            done.append(score_one(order))
        except (InputError, StageFailed) as error:
            failed.append(str(error))
    if failed:
        raise InputError(f"{len(failed)} of {len(orders)} not scored: {'; '.join(failed[:3])}")
    return {"model": config.model, "files": done}


@task(name="score one", cache_policy=NO_CACHE, persist_result=False)
def score_one(order: ScoreConfig) -> Result:
    """Score one input; a task, so that Prefect shows each."""
    with _no_record_in_errors():
        return score_file(order)


def orders_of(config: ScoreConfig, home: Path) -> list[ScoreConfig]:
    """One scoring an input, with absolute paths.

    Args:
        config: What the flow was asked for.
        home: From where relative paths are seen; folders in it are made if they are missing.

    Raises:
        InputError: There is no such folder.
    """
    source, output = home / config.input, home / config.output
    pairs = [(source, output)]
    if not output.name.lower().endswith(KINDS):
        for folder in (source, output):
            if folder.is_relative_to(home):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pairs = waiting(source, output)
    return [config.model_copy(update={"input": one, "output": other}) for one, other in pairs]


@contextmanager
def _no_record_in_errors() -> Iterator[None]:
    """Keep the text of unforeseen errors, which may quote a record, out of Prefect's log."""
    try:
        yield
    except (InputError, Refused, Interrupted):
        raise
    except Exception as error:
        if os.environ.get("CARELEDGER_DEBUG"):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        raise StageFailed(f"scoring failed with {type(error).__name__} at {where}") from None
