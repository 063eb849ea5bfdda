"""Scoring as a Prefect flow: one file, or whatever came into a folder since the last time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from domains.errors import InputError, Interrupted, Refused, StageFailed
from pipelines.environment import time_limit
from pipelines.life import flow_runs
from pipelines.progress import say
from pipelines.scoring import rounds
from pipelines.scoring.batch import Result, named, score_file
from pipelines.scoring.inbox import waiting
from pipelines.scoring.output import KINDS
from pipelines.scoring.wording import reason
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
    run_id = flow_runs.current()[0] or secrets.token_hex(16)
    with rounds.noted(run_id, named(config.model)) as done:
        orders = orders_of(config, writable_home())
        if not orders:
            say(f"{config.model}: nothing new to score")
        return {"model": config.model, "files": _score_all(orders, run_id, done)}


def _score_all(orders: list[ScoreConfig], run_id: str, done: rounds.Round) -> list[Result]:
    """Score what can be scored, and then say what could not.

    Raises:
        InputError: Not every input could be scored.
    """
    results: list[Result] = []
    failed: list[str] = []
    done.files = len(orders)
    for order in orders:
        try:
            results.append(score_one(order, run_id))
        except BaseException as error:
            done.failed += 1
            if not isinstance(error, InputError | StageFailed):
                raise
            failed.append(str(error))
        done.rows, done.rejected = (sum(one[k] for one in results) for k in ("rows", "rejected"))
        done.warnings = sum(len(one["warnings"]) for one in results)
    if failed:
        raise InputError(f"{len(failed)} of {len(orders)} not scored: {'; '.join(failed[:3])}")
    return results


@task(name="score one", cache_policy=NO_CACHE, persist_result=False)
def score_one(order: ScoreConfig, run_id: str) -> Result:
    """Score one input; a task, so that Prefect shows each."""
    with _no_record_in_errors():
        result = score_file(order, run_id)
    for warning in result["warnings"]:
        say(f"{order.model}: {warning}")
    return result


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
        raise StageFailed(f"scoring failed with {reason(error)}") from None
