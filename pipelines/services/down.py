"""`make down`: end exactly what `make up` started, and what that started."""

from __future__ import annotations

import sys

from pipelines.progress import say
from pipelines.services import processes, records, supervisor
from pipelines.services.ports import VARIABLES


def down() -> int:
    """End the supervisor first, then the worker and its runs, then the servers.

    Returns:
        0; 1 when something would not end.
    """
    ended = _end([supervisor.NAME], "the supervisor")
    for _ in range(3):  # a worker on its way out may have started one run more
        flows = [record.name for record in records.flows()]
        if not (found := _end(["worker", *flows], "the worker and its runs")):
            break
        ended += found
    ended += _end(["mlflow", "prefect"], "the servers")
    for name in VARIABLES:
        supervisor.given_up_path(name).unlink(missing_ok=True)
    for record in ended:
        print(f"ended {record.name} (process {record.pid}, since {record.since})")
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
