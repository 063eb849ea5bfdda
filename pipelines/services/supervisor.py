"""Keep the services running: start what is missing, restart what dies, give up loudly.

One process a home, held by a lock. It is the parent of what it starts; should it be killed, the
services go on, and the next supervisor adopts them.
"""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines import progress
from pipelines.notices.notify import notify
from pipelines.progress import say
from pipelines.services import processes, records
from pipelines.services.plan import Service, planned
from pipelines.services.recovery import Recovery

NAME = "supervisor"
ATTEMPTS, WINDOW = 5, 600.0
"""So many deaths within so many seconds, and a service is given up."""
_ROUND, _CHECK, _UNWELL, _LONGEST_PAUSE = 1.0, 10.0, 180.0, 60.0


@dataclass
class Watched:
    """One service under watch; all times are monotonic."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)
    not_before: float = 0.0
    checked: float = 0.0
    well: float = field(default_factory=time.monotonic)
    begun: bool = False
    given_up: bool = False

    def alive(self) -> bool:
        """Whether it runs: as a child of this process, or adopted by its record."""
        if self.process is not None and self.process.poll() is None:
            return True
        return records.alive(records.read(self.service.name))


def main() -> int:
    """Watch until SIGTERM; 0 at once when another supervisor of this home is at it."""
    progress.say_when()
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stopped.append(got))
    with _alone() as alone:
        if alone:
            log = str(processes.log_of(NAME))
            me = records.write(NAME, sys.argv, log, None, None)
            supervise([Watched(service) for service in planned()], lambda: bool(stopped))
            records.remove(me)
    return 0


@contextmanager
def _alone() -> Iterator[bool]:
    with processes.log_of(NAME).with_suffix(".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def supervise(watched: list[Watched], stopped: Callable[[], bool]) -> None:
    """Rounds of looking after each service, and after runs whose process is gone."""
    recovery = Recovery()
    while not stopped():
        ready = {each.service.name for each in watched if each.begun and not each.given_up}
        for each in watched:
            if each.service.needs is None or each.service.needs in ready:
                died = len(each.deaths)
                look_after(each)
                if each.service.name == "worker" and len(each.deaths) > died:
                    recovery.worker_died()
        if ready >= {each.service.name for each in watched}:
            recovery.step()
        for name in [each.service.name for each in watched] + [NAME]:
            processes.trim(processes.log_of(name))
        time.sleep(_ROUND)


def look_after(each: Watched) -> None:
    """Start a service that does not run, unless it is too early or was given up."""
    now = time.monotonic()
    if each.given_up:
        return
    if each.alive():
        _check(each, now)
    elif each.process is not None or each.begun:
        _mourn(each, now)
    elif now >= each.not_before:
        _clear(each.service.name)
        each.process, each.well = processes.start(each.service), now
        say(f"{each.service.name} started")


def _check(each: Watched, now: float) -> None:
    """Ask how it is, once begun every few seconds; one that stays unwell is ended."""
    if each.begun and now - each.checked < _CHECK:
        return
    each.checked = now
    if processes.answers(each.service.health):
        each.well = now
        if not each.begun:
            each.begun = True
            say(f"{each.service.name} is well at {each.service.url}")
    elif now - each.well > _UNWELL:
        say(f"{each.service.name} has not answered for {_UNWELL:.0f} s and is ended")
        _clear(each.service.name)


def _mourn(each: Watched, now: float) -> None:
    """Note a death, and set when to try again: 1, 2, 4 … seconds later, or never."""
    code = each.process.poll() if each.process is not None else None
    each.process, each.begun = None, False
    each.deaths = [moment for moment in each.deaths if now - moment < WINDOW] + [now]
    pause = min(2.0 ** (len(each.deaths) - 1), _LONGEST_PAUSE)
    each.not_before = now + pause
    ended = f"exit status {code}" if code is not None else "it is gone"
    say(f"{each.service.name} died ({ended}); starting it again in {pause:.0f} s")
    if len(each.deaths) >= ATTEMPTS:
        _give_up(each)


def _give_up(each: Watched) -> None:
    each.given_up = True
    name = each.service.name
    text = (
        f"{name} died {ATTEMPTS} times within {WINDOW / 60:.0f} minutes and is given up; "
        f"see {processes.log_of(name)}, then: make up"
    )
    given_up_path(name).write_text(text + "\n")
    say(text)
    notify("failure", text, service=name)


def given_up_path(name: str) -> Path:
    """Where it is said that a service was given up, and why."""
    return processes.log_of(name).with_suffix(".given-up")


def _clear(name: str) -> None:
    """End what an earlier start has left, so that the port is free."""
    record = records.read(name)
    if record is not None:
        processes.end([record])
