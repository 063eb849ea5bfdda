"""What the supervisor does about runs whose process is gone.

Looking is cheap and done here: locks and records. Acting needs MLflow and Prefect, seconds of
imports, and is left to a process that ends again: `python -m pipelines.services recover`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress

from domains.errors import InputError
from pipelines.life import jobs
from pipelines.notices import outbox
from pipelines.notices.notify import deliver_waiting
from pipelines.services import records
from pipelines.services.plan import ROOT, surroundings

_LOOK, _FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0, 900.0
_SETTLED = 20.0  # by then the worker has reported the crash too; both at once would get mixed up
_STUCK = 330.0  # a little more than `recover.STUCK`, which is not imported here for its weight


class Recovery:
    """Sees to it that crashed runs are taken up; a little each round."""

    def __init__(self) -> None:
        self._acting: subprocess.Popen[bytes] | None = None
        self._looked = self._acted = 0.0
        self._since: dict[str, float] = {}
        self._pause, self._found = _FIRST_PAUSE, frozenset[str]()
        self.worker_died()  # a machine that was cut off has left the same behind

    def worker_died(self) -> None:
        """Act once more after a while: runs that it had only just taken have left no trace here."""
        self._once_more = time.monotonic() + _STUCK

    def step(self) -> None:
        """Look every few seconds; act when something new is found, and later again on the old."""
        now = time.monotonic()
        if now - self._looked < _LOOK or (self._acting and self._acting.poll() is None):
            return
        self._looked = now
        if outbox.waiting():
            deliver_waiting()
        self._since = {name: self._since.get(name, now) for name in gone()}
        settled = {name for name, since in self._since.items() if now - since > _SETTLED}
        if self._is_time(frozenset(settled), now):
            self._act(now)

    def _is_time(self, found: frozenset[str], now: float) -> bool:
        new, self._found = found - self._found, found
        if new:
            self._pause = _FIRST_PAUSE
            return True
        if found and now - self._acted > self._pause:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            return True
        return now > self._once_more

    def _act(self, now: float) -> None:
        self._acted = now
        if now > self._once_more:
            self._once_more = float("inf")
        self._acting = subprocess.Popen(
            [sys.executable, "-m", "pipelines.services", "recover"],
            cwd=ROOT,
            # Its lines go to the supervisor's log, which others write to in a form of their own.
            env={"PREFECT_LOGGING_LEVEL": "CRITICAL", **surroundings()},
        )


def gone() -> list[str]:
    """Jobs and scheduled runs that did not end, have no process and wait for nobody's word."""
    found = [record.name for record in records.flows() if not records.alive(record)]
    for folder in jobs.folders():
        with suppress(FileNotFoundError, InputError):  # it has just ended; or is no job
            job = jobs.read(folder)
            if not (job.ended or job.waits or jobs.is_alive(folder)):
                found.append(folder.name)
    return found
