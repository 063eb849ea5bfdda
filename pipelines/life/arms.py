"""Arms of a job that is taken up again: a finished one is read, one under way goes on.

Under a job's folder, `arms/NAME.json` says that an arm or control is finished, and is written
after every file that it names; `checkpoints/NAME.safetensors` is where one under way stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from domains import durable
from models.checkpoint import Checkpoint
from pipelines.life import kept
from pipelines.progress import say
from pipelines.tracking import Job

T = TypeVar("T")


def once(job: Job, kind: type[T], name: str, make: Callable[[], T]) -> T:
    """What an earlier process of the job has made under this name; else make it.

    Args:
        job: The job.
        kind: A dataclass that `pipelines.life.kept` can write.
        name: Of the arm; no other of this job has it.
        make: Trains it, and writes the files that it names.
    """
    path = job.folder / "arms" / f"{_plain(name)}.json"
    if (found := _read(kind, path)) is not None:
        say(f"{name}: done before")
        return found
    made = make()
    path.parent.mkdir(exist_ok=True)
    for file in _files(made):
        durable.flush(file)
    durable.write(path, json.dumps(kept.encode(made)))
    return made


def checkpoint(job: Job, name: str) -> Checkpoint:
    """Where the training of this name stands, or will."""
    return Checkpoint(job.folder / "checkpoints" / f"{_plain(name)}.safetensors", say)


def _read(kind: type[T], path: Path) -> T | None:
    """What was written down; None where nothing was, or other code than this did."""
    try:
        found: T = kept.decode(kind, json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return found


def _files(made: Any) -> Iterator[Path]:
    return (value for value in vars(made).values() if isinstance(value, Path))


def _plain(name: str) -> str:
    return name.replace(" ", "-").replace(",", "")
