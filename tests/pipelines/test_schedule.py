"""One machine by itself: a schedule trains, the gate promotes, a schedule scores; then all ends."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from domains.sources import fetch
from pipelines import registry
from pipelines.services import processes, records
from tests.pipelines.test_services import eventually, free_port

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Machine:
    """A home of its own with its own ports, and what `make` does there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        drop = ("PREFECT_", "MLFLOW_", "CARELEDGER_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        cache = {k: v for k, v in os.environ.items() if k == "CARELEDGER_CACHE"}
        names = ("PREFECT", "MLFLOW", "WORKER")
        ports = {f"CARELEDGER_{name}_PORT": str(free_port()) for name in names}
        self.environment = {**kept, **cache, **ports, "CARELEDGER_HOME": str(home)}
        self.environment["PREFECT_WORKER_QUERY_SECONDS"] = "2"

    def make(self, target: str) -> subprocess.CompletedProcess[str]:
        """What `make up`, `make deploy` and `make down` do."""
        return subprocess.run(
            [sys.executable, "-m", "pipelines.services", target],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.environment['CARELEDGER_PREFECT_PORT']}/api"

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        """One request to Prefect's server; without a body, what is there."""
        request = urllib.request.Request(
            f"{self.api}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method="GET" if body is None else method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Flow runs of a deployment that have begun."""
        chosen = {"deployments": {"name": {"any_": [deployment]}}}
        found = self.ask("flow_runs/filter", {**chosen, "sort": "START_TIME_ASC"})
        return [run for run in found if run["start_time"]]

    def change(self, flow: str, deployment: str, seconds: float | None, **config: Any) -> None:
        """Put a deployment on a schedule of seconds, or on none, and change its configuration."""
        found = self.ask(f"deployments/name/{flow}/{deployment}")
        told = {**found["parameters"]["config"], **config}
        rules = [{"schedule": {"interval": seconds}}] if seconds else []
        changes = {"parameters": {"config": told}, "schedules": rules}
        self.ask(f"deployments/{found['id']}", changes, "PATCH")


@pytest.fixture
def machine(home: Path) -> Iterator[Machine]:
    machine = Machine(home)
    try:
        yield machine
    finally:
        done = machine.make("down")
        assert done.returncode == 0, done.stderr


def test_a_schedule_trains_promotes_and_scores_and_nothing_stays_behind(
    machine: Machine,
) -> None:
    up = machine.make("up")
    assert up.returncode == 0, up.stderr
    first = {name: records.read(name) for name in ("prefect", "mlflow", "worker", "supervisor")}
    assert all(records.alive(record) for record in first.values())
    assert machine.make("up").returncode == 0
    assert first == {name: records.read(name) for name in first}, "a second up changes nothing"

    deployed = machine.make("deploy")
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert len(re.findall(r" 20\d\d-\d\d-\d\d ", deployed.stdout)) == 6, "each has a next run"

    machine.change("patients", "train-patients", 10, scale="tiny")
    assert eventually(lambda: machine.runs("train-patients"))
    # One server dies in mid-run, and whoever would notice dies too.
    for name in ("supervisor", "mlflow"):
        os.kill(_pid(name), signal.SIGKILL)
    machine.change("patients", "train-patients", None)
    assert machine.make("up").returncode == 0
    assert eventually(lambda: machine.runs("train-patients")[0]["end_time"], 180)
    assert machine.runs("train-patients")[0]["state_type"] == "COMPLETED", _log(machine)
    version = registry.champion("patients-support2")
    assert version is not None
    found = registry.get_version("patients-support2", version)
    assert registry.stored_evidence(found)["pipeline"] == "patients", "read without the server"

    inbox = machine.home / "inbox" / "patients-support2"
    inbox.mkdir(parents=True)
    rows = pd.read_parquet(fetch("support2")).head(50)
    rows.to_csv(inbox / "monday.csv", index=False)
    machine.change("score", "score-patients", 10)
    output = machine.home / "scores" / "patients-support2"
    assert eventually(lambda: list(output.glob("monday*.csv")), 120), _log(machine)
    scored = pd.read_csv(next(iter(output.glob("monday*.csv"))))
    assert len(scored) == len(rows)
    assert set(scored["version"].astype(str)) == {version}

    mine = set(_of(machine.home))
    assert {_pid(name) for name in first} <= mine
    assert machine.make("down").returncode == 0
    assert set(_of(machine.home)) == set()
    assert not list(records.folder().rglob("*.json"))
    assert not processes.answers(f"{machine.api}/health")


def _pid(name: str) -> int:
    record = records.read(name)
    assert record is not None
    return record.pid


def _of(home: Path) -> Iterator[int]:
    """Processes with this home in their environment, this one's kin apart."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("CARELEDGER_HOME") == str(home) and process.pid != os.getpid():
                yield process.pid
        except psutil.Error:
            continue


def _log(machine: Machine) -> str:
    """What the runs printed."""
    return "\n".join(path.read_text() for path in (machine.home / "services").rglob("*.log"))
