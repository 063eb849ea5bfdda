"""`make up`: start what one machine needs, and return when all of it is well."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time

from domains.errors import InputError
from pipelines.progress import say
from pipelines.server import prepare_database
from pipelines.services import processes, records, supervisor
from pipelines.services.plan import ROOT, Service, planned, surroundings
from pipelines.services.ports import VARIABLES, check_free
from pipelines.settings import writable_home
from pipelines.store import prepare_store

_PATIENCE = 240.0


def up() -> int:
    """Start the supervisor, which starts the rest; running services are adopted.

    Returns:
        0 when all are well, 1 when one is not.

    Raises:
        InputError: A port is taken or is no port, the home cannot be written to, or a service
            runs on another port than the one configured now.
    """
    home = writable_home()
    services = planned()
    for service in services:
        _check(service)
        supervisor.given_up_path(service.name).unlink(missing_ok=True)
    prepare_store(home)
    prepare_database()
    trouble = _wait(services, _start_supervisor())
    print(_table(services))
    for line in trouble:
        print(f"careledger: {line}", file=sys.stderr)
    return 1 if trouble else 0


def _check(service: Service) -> None:
    record = records.read(service.name)
    if not records.alive(record):
        if record is not None:
            processes.end([record])  # the process is gone; what it had started may not be
        check_free(service.name)
    elif record is not None and record.port != service.port:
        raise InputError(
            f"{service.name} runs on port {record.port}, and {VARIABLES[service.name][0]} says "
            f"{service.port}: make down first, or unset the variable"
        )


def _start_supervisor() -> subprocess.Popen[bytes] | None:
    """The process that was started; None while one of this home runs already."""
    if records.alive(records.read(supervisor.NAME)):
        return None
    log = processes.log_of(supervisor.NAME)
    processes.trim(log)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.services", "supervise"],
            cwd=ROOT,
            env={**surroundings(), records.MARK: secrets.token_hex(16)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait(services: list[Service], started: subprocess.Popen[bytes] | None) -> list[str]:
    """Wait until every service is well, telling of each; what went wrong otherwise."""
    deadline, waiting = time.monotonic() + _PATIENCE, list(services)
    while waiting:
        for service in list(waiting):
            given_up = supervisor.given_up_path(service.name)
            if given_up.exists():
                return [given_up.read_text().strip()]
            if records.alive(records.read(service.name)) and processes.answers(service.health):
                say(f"{service.name} is well")
                waiting.remove(service)
        if started is not None and started.poll():  # 0: another one was quicker
            return [f"the supervisor ended at once; see {processes.log_of(supervisor.NAME)}"]
        if time.monotonic() > deadline:
            return [f"{s.name} is not well yet; see {processes.log_of(s.name)}" for s in waiting]
        time.sleep(0.2)
    return []


def _table(services: list[Service]) -> str:
    rows = [("service", "address", "log")]
    rows += [(s.name, s.page or s.health, str(processes.log_of(s.name))) for s in services]
    rows.append((supervisor.NAME, "-", str(processes.log_of(supervisor.NAME))))
    wide = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c}" for a, b, c in rows)
