"""The whole way, as a person goes it: command line, registry, ledger, report, exit statuses."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

PRIVATE = """
data: {path: loans.csv, name: my-loans}
target: {column: defaulted, positive: 1}
clients: {count: 4}
privacy: {epsilon: 3, delta: 1.0e-5, grant: {epsilon: 3, delta: 1.0e-5}}
scale: tiny
"""
CANARY_NUMBER, CANARY_WORD = "734019.4177", "Xanadu-Zemblanity"


def careledger(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "CARELEDGER_HOME": str(home)},
    )


@pytest.fixture(scope="module", params=["imaging", "patients", "credit"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, prefect_server: str
) -> tuple[Path, dict[str, Any]]:
    """A home after one tiny run on public data, and what the run printed."""
    home = tmp_path_factory.mktemp(request.param)
    done = careledger(home, "train", request.param, "--scale", "tiny", "--json")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return home, result


def test_json_of_a_run_keeps_the_contract(trained: tuple[Path, dict[str, Any]]) -> None:
    _, result = trained
    assert set(result) >= {
        "pipeline", "run_id", "model", "metrics", "controls", "privacy", "gate", "data",
        "seconds", "report",
    }  # fmt: skip
    assert set(result["model"]) == {"name", "version", "aliases"}
    assert set(result["data"]) == {"name", "digest", "rows"}
    assert set(result["seconds"]) == {"total", "training", "orchestration"}
    assert isinstance(result["gate"]["promoted"], bool)
    assert result["data"]["digest"].startswith("sha256:")
    assert result["controls"]


def test_every_metric_is_a_number_inside_its_interval(trained: tuple[Path, dict[str, Any]]) -> None:
    _, result = trained
    plain = [n for n in result["metrics"] if not n.endswith(("_low", "_high"))]
    assert plain
    for metrics in (result["metrics"], *result["controls"].values()):
        for name in plain:
            if f"{name}_low" in metrics:
                low, value, high = (metrics[f"{name}{end}"] for end in ("_low", "", "_high"))
                assert low <= value <= high, name


def test_version_carries_its_evidence_and_no_pickle(trained: tuple[Path, dict[str, Any]]) -> None:
    home, result = trained
    told = json.loads(careledger(home, "models", "show", result["model"]["name"], "--json").stdout)
    (version,) = told["versions"]
    assert version["evidence"]["metrics"] == result["metrics"]
    assert version["evidence"]["data"]["digest"] == result["data"]["digest"]
    assert told["moves"][0]["reasons"] == result["gate"]["reasons"]
    kept = [path for path in (home / "artifacts").rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in kept)
    assert any(path.name == "model_card.md" for path in kept)
    assert not [path for path in kept if path.suffix in (".pkl", ".pickle", ".joblib")]
    # The protocol byte that opens every pickle since protocol 2, and torch's zip of pickles.
    assert not [path for path in kept if path.read_bytes()[:2] in (b"\x80\x04", b"\x80\x05", b"PK")]


def test_registered_version_answers_its_input_example(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    home, result = trained
    name, version = result["model"]["name"], result["model"]["version"]
    code = (
        "import mlflow; from pipelines.tracking import client; client();"
        f"m = mlflow.pyfunc.load_model('models:/{name}/{version}');"
        "out = m.predict(m.input_example); print(len(out), list(out.columns))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "CARELEDGER_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= 1


def test_runs_are_a_parent_and_a_child_an_arm(trained: tuple[Path, dict[str, Any]]) -> None:
    home, result = trained
    with sqlite3.connect(home / "mlflow.db") as store:
        children = store.execute(
            "select r.name from runs r join tags t on t.run_uuid = r.run_uuid "
            "where t.key = 'mlflow.parentRunId' and t.value = ?",
            (result["run_id"],),
        ).fetchall()
        inputs = store.execute("select count(*) from inputs").fetchone()
        states = {state for (state,) in store.execute("select distinct status from runs")}
    assert {name for (name,) in children} > set(result["controls"])
    assert inputs[0] >= 1
    assert states == {"FINISHED"}


def test_report_needs_nothing_but_itself(trained: tuple[Path, dict[str, Any]]) -> None:
    _, result = trained
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert 'src="http' not in page
    assert result["run_id"] in page


def test_scratch_of_a_job_is_gone(trained: tuple[Path, dict[str, Any]]) -> None:
    home, _ = trained
    assert not list((home / "runs").iterdir())


@pytest.fixture(scope="module")
def lender(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: str
) -> tuple[Path, Path, subprocess.CompletedProcess[str]]:
    """A home, a private job's configuration, and what its first run said."""
    folder = tmp_path_factory.mktemp("lender")
    rng = np.random.default_rng(0)
    income = rng.lognormal(10, 1, 3000).round(2)
    region = rng.choice(["north", "south"], 3000)
    risk = 1 / (1 + np.exp(2 * (np.log(income) - 10) + (region == "north")))
    frame = pd.DataFrame({"income": income, "region": region})
    frame["defaulted"] = (rng.random(3000) < risk).astype(int)
    text = frame.to_csv(index=False).splitlines()
    text[17] = f"{CANARY_NUMBER},{CANARY_WORD},1"
    (folder / "loans.csv").write_text("\n".join(text) + "\n")
    (folder / "job.yaml").write_text(PRIVATE)
    done = careledger(
        folder / "home", "train", "credit", "--config", str(folder / "job.yaml"), "--json"
    )
    return folder / "home", folder / "job.yaml", done


def test_private_run_reports_epsilon_and_the_gate_alone(
    lender: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    _, _, done = lender
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["metrics"] == {}
    assert result["controls"] == {}
    assert 2.9 < result["privacy"]["epsilon"] <= 3
    assert set(result["privacy"]["owners"]) == {"my-loans"}
    assert result["data"]["digest"].startswith("hmac-sha256:")
    assert not any(
        character.isdigit() for reason in result["gate"]["reasons"] for character in reason
    )
    assert "not released" in Path(result["report"]).read_text(encoding="utf-8")


def test_no_record_is_found_in_anything_that_a_run_leaves(
    lender: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    home, _, done = lender
    for canary in (CANARY_NUMBER, CANARY_WORD):
        assert canary not in done.stdout + done.stderr
        for path in home.rglob("*"):
            if path.is_file():
                assert canary.encode() not in path.read_bytes(), path


def test_second_run_on_a_spent_grant_is_refused_and_changes_nothing(
    lender: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    home, job, _ = lender
    before = careledger(home, "models", "list").stdout
    done = careledger(home, "train", "credit", "--config", str(job))
    assert done.returncode == 3
    assert "careledger budget grant my-loans" in done.stderr
    assert "Traceback" not in done.stderr
    assert careledger(home, "models", "list").stdout == before
    (budget,) = json.loads(careledger(home, "budget", "show", "--json").stdout)
    assert budget["jobs"] == 1


def test_larger_grant_in_a_later_file_buys_nothing(
    lender: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    home, job, _ = lender
    done = careledger(
        home, "train", "credit", "--config", str(job), "--set", "privacy.grant.epsilon=100"
    )
    assert done.returncode == 3


def test_same_records_under_another_name_are_refused(
    lender: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    home, job, _ = lender
    done = careledger(home, "train", "credit", "--config", str(job), "--set", "data.name=other")
    assert done.returncode == 3
    assert "my-loans" in done.stderr
    budgets = json.loads(careledger(home, "budget", "show", "--json").stdout)
    assert all(b["epsilon_spent"] == 0 for b in budgets if b["owner"] == "other")


def test_private_run_without_any_grant_is_refused(
    lender: tuple[Path, Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    _, job, _ = lender
    done = careledger(
        tmp_path / "home", "train", "credit", "--config", str(job), "--set", "privacy.grant=null"
    )
    assert done.returncode == 3
    assert "careledger budget grant my-loans" in done.stderr
    assert careledger(tmp_path / "home", "models", "list").stdout == ""
