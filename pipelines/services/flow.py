"""The process of one scheduled run, as the worker starts it: `python -m pipelines.services.flow`.

It stands on its own feet before Prefect's engine begins: a record of its own, so that `make down`
and the supervisor know it; a log of its own, because the worker's pipe breaks when the worker
dies; the project as working folder; servers that answer; and a time limit that holds even where
Prefect's own cannot interrupt.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from pathlib import Path
from uuid import UUID

from pipelines.environment import TIME_LIMIT, time_limit
from pipelines.services import processes, records
from pipelines.services.plan import ROOT

_KEPT_LOGS = 100
_SERVERS_PATIENCE = 300.0
_GRACE = 60.0
_DEFAULT_LIMIT = "43200"


def main() -> None:
    """Be the run that `PREFECT__FLOW_RUN_ID` names; its end is the process's end."""
    name = f"flow-{os.environ['PREFECT__FLOW_RUN_ID']}"
    os.environ.setdefault(TIME_LIMIT, _DEFAULT_LIMIT)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # what the run starts belongs to the run, not to the worker
    log = _own_log(name)
    record = records.write(name, sys.orig_argv, str(log), None, None)
    os.chdir(ROOT)
    _watch_the_clock()
    try:
        _wait_for_servers()
        if _begins():
            _engine()
    finally:
        records.remove(record)


def _own_log(name: str) -> Path:
    """Print into a file from here on; the oldest files go when there are many."""
    log = processes.log_of(name)
    for old in sorted(log.parent.glob("*.log"), key=_age)[:-_KEPT_LOGS]:
        old.unlink(missing_ok=True)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    return log


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another run has just removed it
        return 0.0


def _wait_for_servers() -> None:
    """A server that is being restarted delays a run, and does not fail it.

    After some minutes it begins all the same, and says itself what it misses.
    """
    wanted = [os.environ[name] for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")]
    deadline = time.monotonic() + _SERVERS_PATIENCE
    while time.monotonic() < deadline:
        wanted = [url for url in wanted if not processes.answers(f"{url}/health")]
        if not wanted:
            return
        time.sleep(1.0)


def _begins() -> bool:
    """Whether the run is this process's to begin.

    A worker reports the crash of a process twice, the second time when the run may have been given
    back and taken again. That crash is the earlier process's: the run is given back once more, or
    it would begin without its place among those that may run.
    """
    from prefect.client.orchestration import get_client
    from prefect.states import AwaitingRetry

    run_id = UUID(os.environ["PREFECT__FLOW_RUN_ID"])
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
        if state is None or not state.is_crashed():
            return True
        client.set_flow_run_state(run_id, AwaitingRetry(), force=True)
    print("called crashed before it began, by an earlier process's worker: given back")
    return False


def _watch_the_clock() -> None:
    """End this process and its group a little after its time limit.

    Prefect interrupts the flow at the limit, which then fails in good order. That needs Python to
    get its turn; a call into a library that hangs does not give it one.
    """
    limit = time_limit()
    if limit is None:
        return

    def kill() -> None:
        time.sleep(limit + _GRACE)
        print(f"over its time limit of {limit:.0f} s, and does not stop: killed", file=sys.stderr)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()


def _engine() -> None:
    """Prefect's engine, without the heartbeat that each flow waits for at its end: the lock of the
    job's folder tells sooner and without a server whether the run lives."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    sys.argv = ["prefect.engine"]
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        runpy.run_module("prefect.engine", run_name="__main__")


if __name__ == "__main__":
    main()
