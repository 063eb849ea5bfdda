"""The command line keeps its promises: exit statuses, one line of error, JSON on the last line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def careledger(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would, in a process of its own."""
    environment = {**os.environ, "CARELEDGER_HOME": str(home), **variables}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *words],
        capture_output=True,
        text=True,
        env=environment,
    )


def test_help_lists_what_works() -> None:
    done = careledger(Path("unused"), "--help")
    assert done.returncode == 0
    for command in ("train", "data", "models", "budget", "doctor"):
        assert command in done.stdout
    assert not Path("unused").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "magic"), "no pipeline 'magic'; expected one of imaging, patients, credit"),
        (("train", "credit", "--config", "none.yaml"), "none.yaml: no such configuration file"),
        (("train", "credit", "--set", "roundz=1"), "roundz: unknown key"),
        (("train", "credit", "--scale", "huge"), "scale: expected 'tiny', 'small' or 'full'"),
        (("data", "fetch", "nothing"), "nothing"),
        (("models", "show", "nothing"), "none is registered yet"),
        (("models", "rollback", "nothing"), "none is registered yet"),
        (("budget", "show", "nobody"), "owner nobody is not in the ledger"),
        (("budget", "history", "nobody"), "owner nobody is not in the ledger"),
        (("budget", "grant", "a", "--epsilon", "-1", "--delta", "1e-5"), "-1"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(home: Path, words: tuple[str, ...], said: str) -> None:
    done = careledger(home, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_unknown_command_and_option_are_status_2(home: Path) -> None:
    assert careledger(home, "conjure").returncode == 2
    assert careledger(home, "train", "credit", "--bogus").returncode == 2
    assert careledger(home, "budget", "grant", "a").returncode == 2


def test_debug_shows_the_traceback_wherever_it_stands(home: Path) -> None:
    for words in (("--debug", "models", "show", "x"), ("models", "show", "x", "--debug")):
        done = careledger(home, *words)
        assert done.returncode != 0
        assert "Traceback" in done.stderr


def test_registry_without_a_model_lists_nothing(home: Path) -> None:
    done = careledger(home, "models", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(careledger(home, "models", "list", "--json").stdout) == []


def test_sources_are_listed_with_licence_and_provenance(home: Path) -> None:
    rows = json.loads(careledger(home, "data", "list", "--json").stdout.splitlines()[-1])
    names = {row["name"] for row in rows}
    assert {"sba", "lidc", "support2", "nhanes", "efficientnet-lite0"} <= names
    assert all(row["licence"] and row["provenance"] for row in rows)
    assert {type(row["cached"]) for row in rows} == {bool}
    assert "899,164 rows" in careledger(home, "data", "list").stdout


def test_budget_is_granted_shown_and_remembered(home: Path) -> None:
    granted = careledger(home, "budget", "grant", "bank/a", "--epsilon", "3", "--delta", "1e-5")
    assert granted.returncode == 0, granted.stderr
    assert "granted ε 3 at δ 1e-05, spent 0, left 3" in granted.stdout
    (shown,) = json.loads(careledger(home, "budget", "show", "--json").stdout)
    assert shown["owner"] == "bank/a"
    assert "grant" in careledger(home, "budget", "history", "bank/a").stdout


def test_doctor_finds_a_fresh_installation_well(home: Path) -> None:
    done = careledger(home, "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BAD" not in done.stdout


def test_doctor_names_what_is_wrong(home: Path) -> None:
    (home / "key").write_bytes(b"short")
    done = careledger(home, "doctor")
    assert done.returncode == 1
    assert "BAD key" in done.stdout
    assert "ok  python" in done.stdout


@pytest.mark.parametrize("words", [("models", "list"), ("train", "credit", "--scale", "tiny")])
def test_home_that_cannot_be_made_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "home"):
        done = careledger(folder, *words)
        assert done.returncode == 2
        assert "CARELEDGER_HOME" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_server_that_does_not_answer_is_named(home: Path) -> None:
    done = careledger(home, "models", "list", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 2
    assert "MLFLOW_TRACKING_URI=http://127.0.0.1:9: no MLflow server answers" in done.stderr


LEFT = """
import atexit, os, threading, time
from pipelines.cli import leave

class Native:
    def __del__(self, abort=os.abort):
        abort()

late = Native()  # taken apart with the interpreter, it aborts
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
atexit.register(lambda: print("handler"))
{end}
"""


@pytest.mark.parametrize(("end", "status"), [("leave(2)", 2), ("raise SystemExit(2)", -6)])
def test_what_breaks_while_an_interpreter_is_taken_apart_leaves_the_exit_status_alone(
    end: str, status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT.format(end=end)], capture_output=True, text=True
    )
    assert done.returncode == status
    if status == 2:  # what was not yet written is, in its order
        assert done.stdout.split() == ["thread", "handler"]
