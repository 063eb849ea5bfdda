"""Why a scoring ended early, in a line that may be shown to anybody who may see file names.

An input error names a file, a column and the kind of thing found, never what it was. Of an
unforeseen error, whose text may quote a record, only type and place are told.
"""

from __future__ import annotations

import shlex
import traceback
from asyncio import CancelledError
from pathlib import Path

from domains.errors import InputError, Interrupted, Refused, StageFailed
from pipelines.environment import time_limit
from pipelines.settings import ScoreConfig

_LONGEST = 1000


def reason(error: BaseException, source: Path | None = None) -> str:
    """One line; the name of the source is left out where it stands first."""
    if isinstance(error, InputError | Interrupted | Refused | StageFailed):
        text = " ".join(str(error).split())[:_LONGEST]
        return text.removeprefix(f"{source}: ")
    if isinstance(error, CancelledError):  # how Prefect interrupts a flow
        limit = time_limit()
        return "stopped by Prefect" + (f": its time limit is {limit:g} s" if limit else "")
    return f"{type(error).__name__} at {place(error)}"


def place(error: BaseException) -> str:
    """File and line where an error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "its start"


def command(order: ScoreConfig) -> str:
    """What scores the same input into the same output at a terminal."""
    words = ["careledger", "score", order.model, "--input", str(order.input)]
    words += ["--output", str(order.output)]
    for option, value in (("--id", order.id), ("--image", order.image), ("--chunk", order.chunk)):
        words += [option, str(value)] if value is not None else []
    return shlex.join([*words, *(["--reasons"] if order.reasons else [])])
