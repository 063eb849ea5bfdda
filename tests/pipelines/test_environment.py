"""Nothing reports usage anywhere, and nothing unpickles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from domains.errors import InputError
from pipelines import environment

ROOT = Path(__file__).parents[2]

# Records every attempt to reach a machine other than this one, and refuses it.
GUARD = """
import socket, sys
def watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    here = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", socket.gethostname())
    if host and host not in here:
        with open(REPORT, "a") as report:
            print(event, host, file=report)
        raise OSError("no connection leaves this machine in a test")
sys.addaudithook(watch)
"""

FLOW_AND_RUN = """
from pipelines import server
server.start()
import mlflow, monai, opacus, prefect
from prefect.artifacts import create_markdown_artifact
from pipelines.settings import home
from pipelines.store import prepare_store

@prefect.task
def task():
    create_markdown_artifact("# nothing", key="nothing")
    return 1

@prefect.flow
def flow():
    mlflow.set_tracking_uri(prepare_store(home()))
    with mlflow.start_run():
        mlflow.log_metric("nothing", task())
    return 1

with server.ready():
    assert flow() == 1
"""


def _python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process without this one's settings of Prefect, MLflow and CI."""
    drop = ("PREFECT", "MLFLOW", "DO_NOT", "CI", "GITHUB", "PYTEST", "CARELEDGER_HOME")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_pipelines_overrides_settings_that_would_report_usage() -> None:
    contrary = dict.fromkeys({**environment.TELEMETRY_OFF, **environment.SAFETY}, "1")
    code = "import json, os, pipelines; print(json.dumps(dict(os.environ)))"
    seen = json.loads(_python(code, **contrary).stdout)
    assert {name: seen[name] for name in environment.TELEMETRY_OFF} == environment.TELEMETRY_OFF
    assert {name: seen[name] for name in environment.SAFETY} == environment.SAFETY


def test_the_libraries_agree_that_reporting_is_off() -> None:
    code = """
import pipelines
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
from mlflow.telemetry.utils import is_telemetry_disabled
from prefect._internal.analytics import is_telemetry_enabled
from prefect.settings import get_current_settings
settings = get_current_settings()
assert is_telemetry_disabled() and not is_telemetry_enabled()
assert not settings.server.analytics_enabled
assert not settings.server.ui.show_promotional_content
assert not settings.cloud.enable_orchestration_telemetry
assert not settings.telemetry.enable_resource_metrics
assert not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()
"""
    done = _python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_flow_its_server_and_an_mlflow_run_connect_to_nothing_outside(tmp_path: Path) -> None:
    report = tmp_path / "report"
    site = tmp_path / "site"
    site.mkdir()
    # sitecustomize, so that the server in its own process is watched too
    (site / "sitecustomize.py").write_text(f"REPORT = {str(report)!r}\n{GUARD}")
    outside = (
        "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError: pass"
    )
    _python(outside, PYTHONPATH=str(site))
    assert report.read_text(), "the guard sees nothing"
    report.unlink()
    variables = {"PYTHONPATH": str(site), "CARELEDGER_HOME": str(tmp_path / "home")}
    done = _python(FLOW_AND_RUN, **variables)
    assert done.returncode == 0, done.stderr
    assert not report.exists(), report.read_text()


def test_settings_of_the_schedules_and_the_mlflow_server_agree() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for deployment in deployments:
        told = deployment["work_pool"]["job_variables"]["env"]
        assert told == {
            **environment.TELEMETRY_OFF,
            environment.TIME_LIMIT: told["CARELEDGER_TIME_LIMIT"],
        }
    lines = (ROOT / "mlflow" / "server.env").read_text().splitlines()
    served = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        assert served[name] == {**environment.TELEMETRY_OFF, **environment.SAFETY}[name]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "127.0.0.1,localhost"),
        ("corp.example", "corp.example,127.0.0.1,localhost"),
        ("localhost, corp.example", "localhost,corp.example,127.0.0.1"),
        ("*", "*"),
    ],
)
def test_a_proxy_is_not_asked_for_this_machine(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", before)
    environment.prepare()
    assert os.environ["NO_PROXY"] == after


def test_variables_that_are_set_keep_their_defaults_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "svg")
    monkeypatch.setenv("PREFECT_HOME", "/elsewhere")
    environment.prepare()
    assert os.environ["MPLBACKEND"] == "svg"
    assert os.environ["PREFECT_HOME"] == "/elsewhere"


@pytest.mark.parametrize("text", ["soon", "0", "-5", "inf", "nan"])
def test_a_time_limit_that_is_no_number_of_seconds_is_an_error(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.TIME_LIMIT, text)
    with pytest.raises(InputError, match=environment.TIME_LIMIT):
        environment.time_limit()


def test_flows_have_no_time_limit_unless_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.TIME_LIMIT, raising=False)
    assert environment.time_limit() is None
    monkeypatch.setenv(environment.TIME_LIMIT, "90")
    assert environment.time_limit() == 90.0
