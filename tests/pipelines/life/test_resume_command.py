"""`careledger resume`, and what `careledger train` says of runs that lie dead."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from domains.errors import InputError, Refused
from pipelines import run
from pipelines.cli import app, guarded
from pipelines.life import lives
from pipelines.settings import load_config
from tests.pipelines.life.sample_jobs import die, only_crashed

pytestmark = pytest.mark.usefixtures("home")
RESULT: dict[str, Any] = {
    "model": {"name": "credit-sba", "version": "7"},
    "gate": {"promoted": True, "reasons": []},
    "metrics": {},
    "controls": {},
    "privacy": None,
    "seconds": {"total": 1.0, "training": 0.5, "orchestration": 0.1},
    "report": "report.html",
}


def _say(*words: str) -> Any:
    return CliRunner().invoke(app, ["resume", *words])


def test_nothing_to_resume_is_no_error() -> None:
    done = _say()
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no run was cut short" in done.stderr
    assert _say("--json").stdout.strip() == "[]"


def test_a_name_that_nobody_has_is_one_line() -> None:
    done = _say("nobody")
    assert isinstance(done.exception, InputError)
    assert "no interrupted run 'nobody'" in str(done.exception)


def test_all_are_resumed_and_one_that_fails_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = die(), die()

    def resume(run_id: str) -> dict[str, Any]:
        if run_id == first:
            raise Refused("the budget is spent")
        return {**RESULT, "run_id": run_id}

    monkeypatch.setattr(lives, "resume", resume)
    done = _say()
    assert isinstance(done.exception, Refused)
    assert "credit-sba version 7: promoted" in done.stdout
    assert f"{first}: the budget is spent" in done.stderr
    assert json.loads(_say(second, "--json").stdout)["run_id"] == second


def test_dropping_says_that_the_charge_stays() -> None:
    run_id = die()
    done = _say(run_id, "--drop")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "what it was charged stays charged" in done.stderr
    assert lives.crashed() == []


def test_an_unforeseen_end_keeps_its_exit_status() -> None:
    def refuse() -> None:
        raise Refused("no")

    assert guarded(refuse) == 3


def test_training_tells_of_dead_runs_and_leaves_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = die()
    monkeypatch.setattr(run, "perform", lambda *_: RESULT)
    monkeypatch.setattr(run, "prepare", lambda: 0.0)
    run.run("credit", load_config("credit"))
    told = capsys.readouterr().err
    line = f"run {run_id} was cut short during first; `careledger resume {run_id}` goes on with it"
    assert line in told
    assert only_crashed().run_id == run_id
