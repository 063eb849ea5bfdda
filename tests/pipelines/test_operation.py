"""A week in minutes: trained, promoted, scored, killed, resumed, refused, rolled back, and seen.

Services, worker, supervisor, deployments and HTTP server are real and act by themselves. The test
has runs due at once instead of at night, pulls one plug, and rolls back.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from domains.sources import fetch
from pipelines.life import jobs
from pipelines.services import records
from tests.pipelines.services.sample_machine import Machine, eventually
from tests.pipelines.serving.sample_service import Served, serving_process

pytestmark = pytest.mark.slow

MODEL = "patients-support2"
TRAIN, SCORE = "train-patients", "score-patients"
ROWS = 40


class Asker:
    """Somebody who asks the HTTP server all the time, and writes down who answered."""

    def __init__(self, server: Served, record: dict[str, Any]) -> None:
        self.failed: list[Any] = []
        self.versions: list[str] = []
        self._server, self._record, self._over = server, record, threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._over.wait(0.1):
            status, answer, _ = self._server.ask("POST", "/predict", {"records": [self._record]})
            if status != 200:
                self.failed.append((status, answer))
            elif not self.versions or self.versions[-1] != answer["version"]:
                self.versions.append(answer["version"])

    def has_heard(self, *versions: str) -> bool:
        """Whether these versions answered, one after the other."""
        return self.versions == list(versions)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def asking(record: dict[str, Any]) -> Iterator[Asker]:
    with serving_process(MODEL) as (server, _):
        asker = Asker(server, record)
        try:
            yield asker
        finally:
            asker.stop()


def test_the_story_of_a_model_tells_itself(machine: Machine, monkeypatch: Any) -> None:
    monkeypatch.setenv("CARELEDGER_HOME", str(machine.home))
    for target in ("up", "deploy"):
        done = machine.make(target)
        assert done.returncode == 0, done.stdout + done.stderr

    train(machine, 1, scale="tiny")
    assert champion(machine) == "1", machine.log()
    rows = pd.read_parquet(fetch("support2")).head(ROWS)
    first = json.loads(rows.head(1).to_json(orient="records"))[0]

    with asking(first) as asker:
        assert eventually(lambda: asker.has_heard("1"))
        assert versions(score(machine, rows, "monday")) == {"1"}

        train(machine, 2, kill=True, scale="tiny", hidden=96)
        assert champion(machine) == "2", machine.log()
        assert eventually(lambda: asker.has_heard("1", "2"))

        train(machine, 3, scale="tiny", hidden=8, epochs=1)
        assert champion(machine) == "2", "the gate refuses a poor version"

        careledger(machine, "models", "rollback", MODEL)
        assert champion(machine) == "1"
        assert eventually(lambda: asker.has_heard("1", "2", "1"))
        assert versions(score(machine, rows, "tuesday")) == {"1"}

    assert asker.failed == [], "no request was dropped"
    check(status(machine))
    page = machine.home / "week.html"
    careledger(machine, "status", "--html", str(page))
    look(page)


def train(machine: Machine, number: int, kill: bool = False, **config: Any) -> None:
    """One scheduled training, the `number`th; perhaps its process is killed on the way."""
    machine.begin("patients", TRAIN, **config)
    assert eventually(lambda: len(machine.runs(TRAIN)) >= number, 240), machine.log()
    if kill:
        pull_the_plug(machine)
    assert eventually(lambda: machine.runs(TRAIN)[-1]["end_time"], 240), machine.log()
    assert eventually(lambda: machine.runs(TRAIN)[-1]["state_type"] == "COMPLETED", 240), (
        machine.log()
    )


def pull_the_plug(machine: Machine) -> None:
    """Kill the process of the run under way once it has read its records."""
    assert eventually(lambda: list(machine.home.glob("runs/*/stages/*prepare*")), 120)
    (job,) = jobs.folders()
    record = records.read(f"flow-{jobs.read(job).flow_run_id}")
    assert record is not None
    os.killpg(record.pid, signal.SIGKILL)
    assert eventually(lambda: machine.runs(TRAIN)[-1]["state_type"] != "RUNNING", 120)


def score(machine: Machine, rows: pd.DataFrame, day: str) -> pd.DataFrame:
    """What a scheduled scoring makes of a file that came in."""
    inbox, outbox = (machine.home / kind / MODEL for kind in ("inbox", "scores"))
    inbox.mkdir(parents=True, exist_ok=True)
    rows.to_csv(inbox / f"{day}.csv", index=False)
    machine.begin("score", SCORE)
    assert eventually(lambda: list(outbox.glob(f"{day}*.csv")), 240), machine.log()
    scored = pd.read_csv(next(outbox.glob(f"{day}*.csv")))
    assert len(scored) == len(rows)
    return scored


def versions(scored: pd.DataFrame) -> set[str]:
    return set(scored["version"].astype(str))


def careledger(machine: Machine, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        env=machine.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(machine: Machine) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(careledger(machine, "status", "--json").splitlines()[-1])
    return told


def champion(machine: Machine) -> str | None:
    lines = careledger(machine, "models", "list").splitlines()
    return next((line.split()[1] for line in lines if "champion" in line.split()), None)


def check(told: dict[str, Any]) -> None:
    """The JSON of `careledger status` knows what happened."""
    (model,) = told["models"]
    assert (model["champion"], model["challenger"]) == ("1", "3")
    assert [move["action"] for move in model["moves"]] == ["rollback", "refuse", "promote"]
    assert [run["end"] for run in told["runs"][:3]] == ["finished"] * 3
    assert told["crashed"] == []
    assert {each["version"] for each in told["activity"]["scorings"]} == {"1"}
    assert sum(each["requests"] for each in told["activity"]["requests"]) > 0
    assert {each["name"] for each in told["services"]} >= {"prefect", "mlflow", "worker"}
    assert len(told["schedules"]) == 6


def look(page: Path) -> None:
    text = re.sub(r"<[^>]+>", " ", page.read_text())
    for word in (MODEL, "rolled back", "held back by the gate", "train-credit", "worker"):
        assert word in text, word
