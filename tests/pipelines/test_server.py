"""A run's own Prefect server: private, and gone with the run."""

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _status(url: str, path: str) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://").removesuffix("/api"))
    connection.request("GET", f"/api{path}")
    return connection.getresponse().status


@pytest.mark.slow
def test_flows_reach_the_server_and_strangers_do_not(prefect_server: str) -> None:
    from prefect import flow

    @flow
    def one() -> int:
        return 1

    assert one() == 1
    assert _status(prefect_server, "/health") == 200
    assert _status(prefect_server, "/admin/version") == 401


def test_a_server_that_is_named_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import server

    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example/api")
    assert server.start.__wrapped__() is None


@pytest.mark.slow
def test_a_killed_run_takes_its_server_with_it(tmp_path: Path) -> None:
    code = "from pipelines import server; print(server.start().process.pid, flush=True); input()"
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    variables |= {"CARELEDGER_HOME": str(tmp_path)}
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert run.stdout is not None
    server = int(run.stdout.readline())
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert _gone(server, within=120)


def _gone(process: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.2)
    return False
