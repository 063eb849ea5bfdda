"""An installation of its own: home, ports, environment, and what `make` does there."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    """A port that stays free: Linux hands out none below 32768 to whoever asks for any."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def eventually(holds: Callable[[], object], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.1)
    return False


def _now() -> str:
    return datetime.now(UTC).isoformat()


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
        for pause in (0.5, 1, 2, 4, 8, None):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                # Its database was locked; Prefect's own client tries again too.
                if error.code != 503 or pause is None:
                    raise
                time.sleep(pause)

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Flow runs of a deployment that have begun."""
        chosen = {"deployments": {"name": {"any_": [deployment]}}}
        found = self.ask("flow_runs/filter", {**chosen, "sort": "START_TIME_ASC"})
        return [run for run in found if run["start_time"]]

    def begin(self, flow: str, deployment: str, **config: Any) -> None:
        """Have a deployment's next run due at once, with a changed configuration."""
        found = self.ask(f"deployments/name/{flow}/{deployment}")
        told = {**found["parameters"]["config"], **config}
        due = {"type": "SCHEDULED", "state_details": {"scheduled_time": _now()}}
        asked = {"parameters": {"config": told}, "state": due}
        self.ask(f"deployments/{found['id']}/create_flow_run", asked)

    def change(self, flow: str, deployment: str, seconds: float | None, **config: Any) -> None:
        """Put a deployment on a schedule of seconds that begins at once, or on none, and change
        its configuration."""
        found = self.ask(f"deployments/name/{flow}/{deployment}")
        told = {**found["parameters"]["config"], **config}
        begin = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
        rule = {"interval": seconds, "anchor_date": begin, "timezone": "UTC"}
        rules = [{"schedule": rule}] if seconds else []
        changes = {"parameters": {"config": told}, "schedules": rules}
        self.ask(f"deployments/{found['id']}", changes, "PATCH")

    def log(self) -> str:
        """What services and runs printed."""
        return "\n".join(path.read_text() for path in (self.home / "services").rglob("*.log"))
