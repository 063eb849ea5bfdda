"""Start a process that outlives whoever started it; ask whether it is well; end it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from pipelines.services import records
from pipelines.services.plan import ROOT, Service

_LARGEST_LOG = 5 * 1024**2


def start(service: Service) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own; it records itself before it begins."""
    log = log_of(service.name)
    trim(log)
    what = {"name": service.name, "log": str(log), "port": service.port, "url": service.url}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.services.enter", json.dumps(what), *service.command],
            cwd=ROOT,
            env={**service.environment, records.MARK: secrets.token_hex(16)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def log_of(name: str) -> Path:
    """Log of a process, beside its record; their folder is made."""
    log = records.path_of(name).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return log


def trim(log: Path) -> None:
    """Keep a log that has grown long as its predecessor, and start it afresh.

    It is emptied in place: whoever writes to it appends, and goes on.
    """
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def answers(url: str, timeout: float = 5.0) -> bool:
    """Whether an address of this machine answers 200."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=timeout)
    try:
        connection.request("GET", place.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end(found: Iterable[records.Record], patience: float = 15.0) -> list[records.Record]:
    """End exactly what was recorded: ask first, and after `patience` seconds insist.

    Returns:
        Those of which something ran; the records of all are gone.
    """
    groups = {record.name: (record, list(records.members(record))) for record in found}
    processes = [process for _, inside in groups.values() for process in inside]
    _signal(processes, signal.SIGTERM)
    if not _wait(lambda: not _left(processes), patience):
        # Whatever they started in the meantime goes with them.
        processes += [p for record, _ in groups.values() for p in records.members(record)]
        _signal(processes, signal.SIGKILL)
        _wait(lambda: not _left(processes), patience)
    for record, _ in groups.values():
        records.remove(record)
    return [record for record, inside in groups.values() if inside]


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # psutil compares the start time once more
            process.send_signal(number)


def _left(processes: list[psutil.Process]) -> list[psutil.Process]:
    left = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
