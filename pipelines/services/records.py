"""What runs: one small JSON file a process, and how to tell it from another of the same number."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from domains.fetching import replacing
from pipelines.environment import home_folder

MARK = "CARELEDGER_SERVICE_MARK"
"""A secret of each start, in the environment of a service and of all that it starts."""

_SAME_START = 2.0  # seconds; a clock that was set moves what psutil says by less


@dataclass(frozen=True)
class Record:
    """A process that was started here.

    Attributes:
        name: `prefect`, `mlflow`, `worker`, `supervisor`, or `flow-` and a flow run's id.
        pid: Its number, which another process may bear later.
        started: Unix time of its start, which tells the two apart.
        command: What it runs.
        port: Port it listens on, on 127.0.0.1.
        url: Where its clients find it.
        log: What it prints.
        since: When it was started, for people.
        mark: Its secret, see `MARK`.
    """

    name: str
    pid: int
    started: float
    command: list[str]
    port: int | None
    url: str | None
    log: str
    since: str
    mark: str


def folder() -> Path:
    """Where the records and logs of this home are; only named, not created."""
    return home_folder() / "services"


def path_of(name: str) -> Path:
    """File of a record; flows have a folder of their own."""
    return folder() / ("flows" if name.startswith("flow-") else "") / f"{name}.json"


def write(name: str, command: list[str], log: str, port: int | None, url: str | None) -> Record:
    """Record this process, before it becomes what `command` says; returns what was written."""
    me = psutil.Process()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(me.create_time()))
    mark = os.environ.get(MARK, "")
    record = Record(name, me.pid, me.create_time(), command, port, url, log, since, mark)
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with replacing(path) as part:
        part.write_text(json.dumps(asdict(record)) + "\n")
    return record


def read(name: str) -> Record | None:
    """The record of a name; None when there is none, or none that can be read."""
    try:
        return Record(**json.loads(path_of(name).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remove(record: Record) -> None:
    """Take a record away, unless another start has taken its place."""
    found = read(record.name)
    if found is not None and (found.pid, found.started) == (record.pid, record.started):
        path_of(record.name).unlink(missing_ok=True)


def flows() -> list[Record]:
    """Records of scheduled runs' processes, alive or not."""
    names = sorted(path.stem for path in (folder() / "flows").glob("flow-*.json"))
    return [record for name in names if (record := read(name)) is not None]


def alive(record: Record | None) -> bool:
    """Whether the very process that was recorded still runs."""
    if record is None:
        return False
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.started) < _SAME_START
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def members(record: Record) -> Iterator[psutil.Process]:
    """The process and all that it started in its group, also after it is gone itself.

    A group bears the number of the process that founded it. Once that is gone, the mark in their
    environment tells its members from those of a later group of the same number.
    """
    if alive(record):
        yield psutil.Process(record.pid)
    for process in psutil.process_iter():
        try:
            inside = process.pid != record.pid and os.getpgid(process.pid) == record.pid
            if inside and record.mark and process.environ().get(MARK) == record.mark:
                yield process
        except (OSError, psutil.Error):  # it has ended meanwhile, or is another user's
            continue


def addresses() -> dict[str, str | None]:
    """Addresses of the running servers of this home, None for one that does not run.

    Returns:
        `prefect`: as `PREFECT_API_URL` takes it; `mlflow`: as `MLFLOW_TRACKING_URI` takes it.
    """
    found = {name: read(name) for name in ("prefect", "mlflow")}
    return {
        name: record.url if record is not None and alive(record) else None
        for name, record in found.items()
    }
