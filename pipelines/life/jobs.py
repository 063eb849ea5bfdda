"""A job's folder: what it is, whether its process lives, how far it came.

`runs/RUN_ID/` holds `job.json`, what a later process needs to take the job up; `alive`, a file
whose lock the job's process holds as long as it lives; `stages/`, what each finished stage handed
on; and the job's scratch. The lock is the heartbeat: it goes with the process however that ends,
kill -9 and a power cut included, and no other process can be taken for it. Whoever can take it
knows that the job is dead, and owns it from then on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from domains import durable
from domains.errors import InputError
from pipelines.settings import home

HOME_TAG = "careledger.home"
"""Tag of a run: the mark of the home folder that its job lives in."""

_RECORD, _ALIVE, _STAGES = "job.json", "alive", "stages"
_BRIEF = 2.0  # seconds that somebody else's look at the lock may take
_HELD: set[int] = set()


@dataclass(frozen=True)
class Record:
    """What is known of a job without its process.

    Attributes:
        run_id: Its MLflow run.
        pipeline, name: `imaging`, `patients` or `credit`, and the model it registers.
        config: Its configuration as it was given, as JSON that validates back.
        started: Unix time when it was first asked for.
        began: Unix time when its present attempt was.
        stages: How many stages its flow has.
        revision: Of the code that began it.
        attempts: Processes that have worked on it, the present one included.
        flow_run_id: Prefect's run of the present attempt.
        deployed: Whether that is the run of a deployment, which a worker can take up again.
        marked: The attempt whose end without a word was told already.
        marked_at: Unix time when it was.
        offered: How often the job was given back to Prefect's workers since its last attempt.
        waits: What the job was refused and waits for; nobody but a person takes it up then.
        stopped: Whether its present attempt was ended on purpose, by `make down`.
        stops: Attempts that were: they have killed no process.
        ended: `FINISHED`, `FAILED` or `KILLED` once nothing but clearing up is left.
    """

    run_id: str
    pipeline: str
    name: str
    config: dict[str, Any]
    started: float
    began: float
    stages: int
    revision: str
    attempts: int = 1
    flow_run_id: str | None = None
    deployed: bool = False
    marked: int = 0
    marked_at: float = 0.0
    offered: int = 0
    waits: str = ""
    stopped: bool = False
    stops: int = 0
    ended: str = ""

    @property
    def folder(self) -> Path:
        """Where it lives."""
        return folder_of(self.run_id)


class Hold:
    """The lock of a job's `alive` file; it goes with the process, and children do not get it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        _HELD.add(descriptor)

    def release(self) -> None:
        """Let go; a second time does nothing."""
        if self._descriptor is not None:
            _HELD.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None


def _close_in_child() -> None:
    """A forked child would keep its parent's jobs alive after the parent's death."""
    while _HELD:
        os.close(_HELD.pop())


os.register_at_fork(after_in_child=_close_in_child)


def home_mark() -> str:
    """This machine's home folder, told apart from others and not told."""
    where = f"{socket.gethostname()} {home()}"
    return hashlib.blake2b(where.encode(), digest_size=8).hexdigest()


def runs_folder() -> Path:
    """Where the folders of jobs under way are."""
    return home() / "runs"


def folder_of(run_id: str) -> Path:
    """The folder of one job."""
    return runs_folder() / run_id


def begin(record: Record) -> Hold:
    """Make a new job's folder, locked from the moment that others can see it, and write it down."""
    hidden = record.folder.with_name(f".{record.run_id}")
    hidden.mkdir(parents=True, mode=0o700)
    held = hold(hidden)
    if held is None:
        raise RuntimeError(f"{hidden} is new, and another process holds it")
    hidden.rename(record.folder)
    write(record)
    return held


def hold(folder: Path, wait: float = _BRIEF) -> Hold | None:
    """Take a job's lock; None while a living process has it.

    Args:
        folder: Of the job.
        wait: Seconds to try: whoever merely looks whether it is alive has the lock for a moment.
    """
    descriptor = os.open(folder / _ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Hold(descriptor)
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(descriptor)
                return None
            time.sleep(0.05)


def is_alive(folder: Path) -> bool:
    """Whether a process is at work on a job."""
    try:
        held = hold(folder, wait=0.0)
    except FileNotFoundError:  # it has just ended
        return False
    if held is None:
        return True
    held.release()
    return False


def write(record: Record) -> None:
    """Write a job down, to last. Its lock must be held."""
    durable.write(record.folder / _RECORD, json.dumps(asdict(record), indent=1))


def read(folder: Path) -> Record:
    """What `write` wrote.

    Raises:
        FileNotFoundError: The folder or the file is gone, or was never finished.
        InputError: It is there and cannot be read.
    """
    path = folder / _RECORD
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read ({type(error).__name__}); the job cannot go on from it, "
            f"`careledger resume {folder.name} --drop` removes what is left"
        ) from None


def folders() -> Iterator[Path]:
    """Folders of jobs, living and dead, oldest name first."""
    yield from sorted(path for path in runs_folder().glob("[!.]*") if path.is_dir())


def unborn() -> Iterator[Path]:
    """Folders that are being made, or whose process died over it."""
    yield from runs_folder().glob(".*")


def stages_folder(folder: Path) -> Path:
    """Where a job's finished stages are written down."""
    return folder / _STAGES


def stage_of(folder: Path) -> str:
    """The stage that a job was in when last seen, or had just finished, in words."""
    begun = {path.stem for path in stages_folder(folder).glob("*.begun")}
    done = {path.stem for path in stages_folder(folder).glob("*.json")}
    last = max(begun - done or done, default="00-its_start")
    return last.partition("-")[2].replace("_", " ")
