"""A scheduled run's time outside plain work: Prefect, MLflow, reports, imports, the worker's poll.

A machine of its own (`make up`) runs the tiny patients pipeline on a schedule. The account starts
at the scheduled second and ends when Prefect calls the run completed; the work that the run itself
accounts for is taken off. The worker starts the process ahead of that second, so that imports are
done in time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks._ports import free_port
from benchmarks._rows import Row, smaller_is_better

GOAL, AHEAD = 10.0, 35.0
"""Seconds that a run may take outside plain work, and how far ahead runs are scheduled."""
_ROOT = Path(__file__).parents[1]


def scheduled_rows(quick: bool) -> list[Row]:
    """Seconds outside plain work, against the limit of ten; and what they consist of.

    Args:
        quick: Fewer repeats.
    """
    with _machine() as (api, store):
        deployment = _ask(f"{api}/deployments/name/patients/train-patients")
        _run(api, store, deployment)  # the first one fills caches
        accounts = [_run(api, store, deployment) for _ in range(5 if quick else 9)]
    limit = [GOAL] * len(accounts)
    return [
        smaller_is_better(what, "s", [account[key] for account in accounts], limit)
        for what, key in (
            ("scheduled run: all but plain work", "outside"),
            ("  of it within the flow: Prefect, MLflow, report", "within"),
        )
    ]


@contextmanager
def _machine() -> Iterator[tuple[str, str]]:
    """Servers and a worker in a home and on ports of their own; addresses of Prefect's and
    MLflow's interfaces."""
    ports = {
        f"CARELEDGER_{name}_PORT": str(free_port()) for name in ("PREFECT", "MLFLOW", "WORKER")
    }
    drop = ("PREFECT_", "MLFLOW_", "CARELEDGER_HOME")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    with tempfile.TemporaryDirectory() as home:
        environment = {**kept, **ports, "CARELEDGER_HOME": home}
        try:
            _make("up", environment)
            _make("deploy", environment)
            prefect, mlflow = ports["CARELEDGER_PREFECT_PORT"], ports["CARELEDGER_MLFLOW_PORT"]
            yield f"http://127.0.0.1:{prefect}/api", f"http://127.0.0.1:{mlflow}/api/2.0/mlflow"
        finally:
            _make("down", environment)


def _make(target: str, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pipelines.services", target]
    subprocess.run(command, cwd=_ROOT, env=environment, check=True, capture_output=True)


def _run(api: str, store: str, deployment: dict[str, Any]) -> dict[str, float]:
    """One run that is planned ahead, as a schedule's runs are; its account in seconds."""
    due = datetime.now(UTC) + timedelta(seconds=AHEAD)
    config = {**deployment["parameters"]["config"], "scale": "tiny"}
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
    asked = {"parameters": {"config": config}, "state": state}
    run = _ask(f"{api}/deployments/{deployment['id']}/create_flow_run", asked)
    while not run["end_time"]:
        time.sleep(1.0)
        run = _ask(f"{api}/flow_runs/{run['id']}")
    if run["state_type"] != "COMPLETED":
        raise RuntimeError(f"the run ended {run['state_type']}")
    began, ended = (datetime.fromisoformat(run[f"{n}_time"]) for n in ("start", "end"))
    own = _own_account(store)
    work = own["seconds.total"] - own["seconds.orchestration"]
    return {
        "outside": (ended - due).total_seconds() - work,
        "within": (ended - began).total_seconds() - work,
    }


def _own_account(store: str) -> dict[str, float]:
    """What the newest job says of its own seconds, from MLflow."""
    named = _ask(f"{store}/experiments/get-by-name?experiment_name=careledger-patients")
    wanted = {
        "experiment_ids": [named["experiment"]["experiment_id"]],
        "filter": "metrics.`seconds.total` > 0",
        "order_by": ["attributes.start_time DESC"],
        "max_results": 1,
    }
    newest = _ask(f"{store}/runs/search", wanted)["runs"][0]
    return {each["key"]: each["value"] for each in newest["data"]["metrics"]}


def _ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """One request; without a body, what is there."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310
    for pause in (0.5, 1, 2, 4, 8, None):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - this machine
                return json.load(answer)
        except urllib.error.HTTPError as error:
            # The server's database was locked; Prefect's own client tries again too.
            if error.code != 503 or pause is None:
                raise
            time.sleep(pause)
