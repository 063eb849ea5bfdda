"""`careledger status` in a process of its own, and the schedules of a real Prefect server."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.settings import ledger_path
from pipelines.status import schedules
from privacy.ledger import Ledger

KEYS = {
    "at", "home", "needs", "unread", "services", "models", "runs", "crashed", "activity",
    "inboxes", "budgets", "schedules", "notifications", "space",
}  # fmt: skip


def status(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    unset = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_URI")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "status", *words],
        capture_output=True,
        text=True,
        env={**kept, "CARELEDGER_HOME": str(home), **variables},
    )


def test_a_fresh_home_is_told_plainly_and_needs_nobody(home: Path) -> None:
    done = status(home, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Needs a person\n  nothing" in done.stdout
    assert "no Prefect server is running here" in done.stdout
    assert "\033" not in done.stdout


def test_the_last_line_of_json_is_one_value_with_all_keys(home: Path) -> None:
    done = status(home, "--json")
    value = json.loads(done.stdout.splitlines()[-1])
    assert set(value) == KEYS
    assert list(value["unread"]) == ["schedules"]


def test_check_alone_turns_trouble_into_status_1(home: Path) -> None:
    ledger = Ledger(ledger_path())
    ledger.grant("bank", 2.2, 1e-5)
    ledger.reserve("job", {"bank": [{"kind": "gaussian", "sigma": 2.0, "count": 1}]})
    assert status(home).returncode == 0
    done = status(home, "--check", "--json")
    assert done.returncode == 1
    (need,) = json.loads(done.stdout.splitlines()[-1])["needs"]
    assert need["command"] == "careledger budget grant bank --epsilon E --delta 1e-05"
    assert "--check" in status(home, "--help").stdout


def test_the_page_is_written_where_asked_and_at_home(home: Path, tmp_path: Path) -> None:
    asked = tmp_path / "new" / "page.html"
    assert status(home, "--html", str(asked)).returncode == 0
    assert asked.read_text() == (home / "status.html").read_text()
    assert "Nothing needs a person" in asked.read_text()
    (tmp_path / "file").write_text("")
    done = status(home, "--html", str(tmp_path / "file" / "page.html"))
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_an_mlflow_server_that_is_gone_is_a_line_and_no_failure(home: Path) -> None:
    done = status(home, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 0
    assert "no MLflow server answers" in done.stdout
    assert "Space" in done.stdout


def ask(url: str, path: str, body: dict[str, Any]) -> Any:
    secret = base64.b64encode(os.environ["PREFECT_API_AUTH_STRING"].encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {secret}"}
    request = urllib.request.Request(f"{url}/{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_schedules_come_from_the_prefect_server(home: Path, prefect_server: str) -> None:
    flow = ask(prefect_server, "flows/", {"name": "status-test"})
    cron = {"schedule": {"cron": "0 2 * * 6", "timezone": "Europe/Zurich"}, "active": True}
    ids = {
        name: ask(
            prefect_server,
            "deployments/",
            {"name": name, "flow_id": flow["id"], "schedules": [cron], "paused": paused},
        )["id"]
        for name, paused in (("soon", False), ("stopped", True))
    }
    when = datetime.now(UTC) + timedelta(minutes=1)
    ask(
        prefect_server,
        "flow_runs/",
        {
            "flow_id": flow["id"],
            "deployment_id": ids["soon"],
            "state": {
                "type": "SCHEDULED",
                "state_details": {"scheduled_time": when.isoformat()},
            },
        },
    )
    rows = {row["name"]: row for row in schedules.read() if row["name"] in ids}
    assert rows["soon"]["every"] == ["cron 0 2 * * 6 Europe/Zurich"]
    assert rows["stopped"]["paused"]
    assert str(rows["soon"]["next"])[:16] == when.isoformat()[:16]
