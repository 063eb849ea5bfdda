"""One machine by itself: a schedule trains, the gate promotes, a schedule scores; then all ends."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from prefect import flow

from domains.sources import fetch
from pipelines.environment import time_limit
from pipelines.governance import registry
from pipelines.services import processes, records
from pipelines.settings import PatientsConfig
from pipelines.tracking import client, experiment, open_job
from tests.pipelines.services.sample_machine import Machine, eventually

pytestmark = pytest.mark.slow


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
    assert machine.runs("train-patients")[0]["state_type"] == "COMPLETED", machine.log()
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
    assert eventually(lambda: list(output.glob("monday*.csv")), 120), machine.log()
    scored = pd.read_csv(next(iter(output.glob("monday*.csv"))))
    assert len(scored) == len(rows)
    assert set(scored["version"].astype(str)) == {version}

    mine = set(_of(machine.home))
    assert {_pid(name) for name in first} <= mine
    assert machine.make("down").returncode == 0
    assert set(_of(machine.home)) == set()
    assert not list(records.folder().rglob("*.json"))
    assert not processes.answers(f"{machine.api}/health")


def test_a_run_over_its_time_limit_fails_and_says_so(
    home: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELEDGER_TIME_LIMIT", "1")
    within = experiment(client(), "patients")  # what that imports takes longer than the limit

    @flow(timeout_seconds=time_limit())
    def endless() -> None:
        with open_job("patients", PatientsConfig()):
            while True:
                time.sleep(0.1)

    state = endless(return_state=True)
    assert state.is_failed()
    assert "exceeded timeout of 1.0 second" in state.message
    (run,) = client().search_runs([within])
    assert run.info.status == "FAILED"
    assert "time limit is 1 s" in run.data.tags["careledger.ended"]


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
