"""A process that has imported everything, and forks to do each piece of work at once.

Killing a process at two hundred moments would take an hour of imports. Here a child costs a few
milliseconds, and it is a whole process: kill -9 ends it as it would end any other.

A child is killed after a time, or as it is about to touch a file for the n-th time: between two
names in a folder, in the middle of a registration, wherever that falls.

`python -m benchmarks._fork` reads one order a line, JSON, and answers each with the child's exit
status once it has ended.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_COUNT = "touches.txt"
_TOUCHING = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}
)


@dataclass(frozen=True)
class Moment:
    """When a child is killed: after `seconds`, or at its touch of that number of a file, counting
    those alone that have `of` in their path."""

    seconds: float | None = None
    touch: int | None = None
    of: str = ""


@dataclass(frozen=True)
class End:
    """How a child ended: `done`, `failed` or `killed`, after how many seconds and touches."""

    how: str
    seconds: float
    touches: int


class Forker:
    """Does pieces of work in children, and kills them where asked to.

    Args:
        environment: Of the forking process, beside this one's.
        folder: Receives `log.txt`, what the children print, and their counts.
    """

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._fork"],
            cwd=_ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, work: str, home: Path, moment: Moment | None = None, **words: Any) -> End:
        """Run a function in a child with a home folder of its own.

        Args:
            work: `MODULE.FUNCTION`, in this package.
            home: Its `CARELEDGER_HOME`.
            moment: When it is killed if it still lives; None lets it end.
            words: What the function is called with, JSON values.
        """
        order = {
            "work": work,
            "home": str(home),
            "folder": str(self._folder),
            "words": words,
            **vars(moment or Moment()),
        }
        started = time.monotonic()
        status, seconds = self._ask(order), time.monotonic() - started
        touches = int((self._folder / _COUNT).read_text() or 0)
        if os.WIFSIGNALED(status):
            return End("killed", seconds, touches)
        return End("failed" if os.waitstatus_to_exitcode(status) else "done", seconds, touches)

    def close(self) -> None:
        """End the forking process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _ask(self, order: dict[str, Any]) -> int:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        return int(stdout.readline())


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what imports print is no answer
    importlib.import_module("benchmarks._work").warm()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(order)
        print(_wait(pid, order["seconds"]), file=answers)


def _wait(pid: int, seconds: float | None) -> int:
    """The child's exit status; it is killed at its moment, within a millisecond or two."""
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if until is not None and time.monotonic() >= until:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1]
        time.sleep(0.001)


def _child(order: dict[str, Any]) -> None:
    folder = Path(order["folder"])
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.environ["CARELEDGER_HOME"] = order["home"]
    touches = _Touches(order["touch"], order["of"])
    sys.addaudithook(touches)
    code = 0
    try:
        module, name = order["work"].split(".")
        getattr(importlib.import_module(f"benchmarks.{module}"), name)(**order["words"])
    except BaseException:  # noqa: BLE001 - the last resort of a process
        traceback.print_exc()
        code = 1
    count, touches.fatal = touches.number, None
    (folder / _COUNT).write_text(str(count))
    os._exit(code)


class _Touches:
    """Counts what changes files or talks to a server, and ends the process at a number of it."""

    def __init__(self, fatal: int | None, of: str) -> None:
        self.number, self.fatal, self._of = 0, fatal, of

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            mode, flags = arguments[1], arguments[2]
            if not (set(mode or "") & set("wax+") or flags & (os.O_WRONLY | os.O_RDWR)):
                return
        elif event not in _TOUCHING:
            return
        if self._of not in str(arguments[:2]):
            return
        self.number += 1
        if self.number == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve()
