"""`make down`: end exactly what `make up` started, and what that started."""

from __future__ import annotations

import sys

from pipelines.life import stopping
from pipelines.progress import say
from pipelines.services import processes, records, supervisor
from pipelines.services.ports import VARIABLES


def down() -> int:
    """End the supervisor first, then the worker and its runs, then the servers.

    A run that is cut short by that is written down as stopped: the next `make up` goes on with it.

    Returns:
        0; 1 when something would not end.
    """
    ended = _end([supervisor.NAME], "the supervisor")
    at_work = stopping.at_work()
    for _ in range(3):  # a worker on its way out may have started one run more
        flows = [record.name for record in records.flows()]
        if not (found := _end(["worker", *flows], "the worker and its runs")):
            break
        ended += found
    stopped = stopping.note_stopped(at_work)
    ended += _end(["mlflow", "prefect"], "the servers")
    for name in VARIABLES:
        supervisor.given_up_path(name).unlink(missing_ok=True)
    for record in ended:
        print(f"ended {record.name} (process {record.pid}, since {record.since})")
    for run_id in stopped:
        print(f"run {run_id} was stopped: make up, or careledger resume {run_id}, goes on with it")
    if not ended:
        print("nothing was running")
    left = [record for record in ended if any(True for _ in records.members(record))]
    for record in left:
        print(f"careledger: {record.name} would not end: process {record.pid}", file=sys.stderr)
    return 1 if left else 0


def _end(names: list[str], what: str) -> list[records.Record]:
    found = [record for name in names if (record := records.read(name)) is not None]
    if any(records.alive(record) for record in found):
        say(f"ending {what}")
    return processes.end(found)
