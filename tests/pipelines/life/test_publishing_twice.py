"""A registration that is cut short anywhere is completed, and never made twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.banking.features import Numeric
from domains.errors import InputError, Interrupted
from models.credit import CreditScorer, build
from models.credit_encoding import Encoder
from pipelines import finish
from pipelines.evidence import Arm, Evidence
from pipelines.governance import chain, gate, promotion, registry
from pipelines.governance.gate import Verdict
from pipelines.governance.held_out import HeldOut, HeldOutcome
from pipelines.governance.moves import moves
from pipelines.life import lives
from pipelines.reporting import report
from pipelines.tracking import Job, client, reports_folder
from tests.pipelines.life.sample_jobs import die, full, killed, only_crashed, run, take_up

pytestmark = pytest.mark.usefixtures("home")
NAME = "credit-sba"
INPUTS = pd.DataFrame({"amount": [1.0, 5e4] * 40})


def _publish(job: Job) -> dict[str, Any]:
    encoder = Encoder((Numeric("amount", (0.0, 1e4, 1e5)),), ())
    CreditScorer(encoder, build(encoder.width, 4)).save(job.folder / "package")
    data: dict[str, Any] = {"name": "sba", "digest": "sha256:0", "rows": 80, "public": True}
    metrics = {"auroc": 0.8, "auroc_low": 0.7, "auroc_high": 0.9}
    arms = [Arm("alone", "control", {"auroc": 0.7}, 1.0)]
    evidence = Evidence("credit", "a headline", data, {}, metrics, arms)
    y, ids = np.array([0.0, 1.0] * 40), np.arange(80)
    outcome = HeldOutcome("default", "auroc", ("default",), ("probability",))
    held = HeldOut(INPUTS, {"default": y}, ids, ids, (outcome,), "split")
    result: dict[str, Any] = finish.publish.fn(
        job, evidence, job.folder / "package", INPUTS[:2], held
    )
    return result


def _cut(
    patch: pytest.MonkeyPatch, place: Any, name: str, after: bool, error: Callable[[], Any] = killed
) -> Counter[str]:
    """Have a function end the process once, before or after its work; counts its calls."""
    whole, calls = getattr(place, name), Counter[str]()

    def cut(*words: Any, **named: Any) -> Any:
        calls[name] += 1
        if calls[name] == 1 and not after:
            raise error()
        done = whole(*words, **named)
        if calls[name] == 1:
            raise error()
        return done

    patch.setattr(place, name, cut)
    return calls


def _check(run_id: str, result: dict[str, Any], passed: bool) -> None:
    """One version with one word on it, whole, and the alias where the record says."""
    alias = registry.CHAMPION if passed else registry.CHALLENGER
    assert registry.list_versions() == [(NAME, "1", [alias])]
    (word,) = moves(NAME)
    assert (word.action, word.after) == ("promote" if passed else "refuse", "1")
    assert word.run_id == run_id
    assert result["model"] == {"name": NAME, "version": "1", "aliases": [alias]}
    assert result["gate"]["promoted"] is passed
    assert result["gate"]["reasons"] == word.reasons
    version = registry.get_version(NAME, "1")
    assert version.description == "a headline"
    assert registry.stored_evidence(version)["headline"] == "a headline"
    assert (registry.package_folder(NAME, "1") / "scorer.json").exists()
    folder = reports_folder(run_id)
    assert "</html>" in (folder / "report.html").read_text()
    found = client().get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["auroc"] == 0.8
    models = client().search_logged_models([found.info.experiment_id])
    assert len(models) == 1
    assert lives.crashed() == []


POINTS = {
    "before the model is logged": (finish, "_log_model", False),
    "after the model is logged": (finish, "_log_model", True),
    "before the version": (registry, "create_version", False),
    "after the version": (registry, "create_version", True),
    "between version and verdict": (registry, "judge", False),
    "between verdict and report": (report, "render", False),
    "after the report": (finish, "_write_report", True),
    "before the move": (chain, "write", False),
    "between the move and the alias": (chain, "carry_out", False),
    "after the alias": (chain, "carry_out", True),
    "before people are told": (promotion, "announce", False),
    "at the very end": (finish, "_show_in_prefect", True),
}
MOVING = ("before the move", "between the move and the alias", "before people are told")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "passed"),
    [(point, True) for point in POINTS] + [(point, False) for point in MOVING],
)
def test_a_run_that_is_killed_as_it_registers_has_one_version_and_one_word(
    point: str, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = gate.Check("floor", passed, "as the test asks for")
    monkeypatch.setattr(gate, "check", lambda *_: Verdict((check,), ahead=passed))
    place, name, after = POINTS[point]
    _cut(monkeypatch, place, name, after)
    run_id = die(_publish)
    assert only_crashed().stage == "publish"
    _check(run_id, take_up(run_id, _publish), passed)


def test_a_version_that_a_person_promoted_meanwhile_stays_champion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check = gate.Check("floor", True, "as the test asks for")
    monkeypatch.setattr(gate, "check", lambda *_: Verdict((check,), ahead=True))
    _cut(monkeypatch, registry, "create_version", after=True)
    run_id = die(_publish)
    promotion.promote(NAME, "1", note="it will do")
    take_up(run_id, _publish)
    assert registry.list_versions() == [(NAME, "1", [registry.CHAMPION])]


def test_a_disk_that_fills_while_the_report_is_written_costs_no_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check = gate.Check("floor", True, "as the test asks for")
    monkeypatch.setattr(gate, "check", lambda *_: Verdict((check,), ahead=True))
    _cut(monkeypatch, report, "render", after=False, error=full)
    with pytest.raises(Interrupted, match="No space left on device"):
        run(_publish)
    run_id = only_crashed().run_id
    _check(run_id, take_up(run_id, _publish), passed=True)


def test_a_taken_up_run_that_fails_of_itself_leaves_no_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _cut(monkeypatch, registry, "judge", after=False)
    run_id = die(_publish)
    assert registry.list_versions() == [(NAME, "1", [])]

    def broken(*_: object) -> None:
        raise InputError("promotion.toml: no such rule")

    monkeypatch.setattr(registry, "judge", broken)
    with pytest.raises(InputError):
        take_up(run_id, _publish)
    assert registry.list_versions() == []
    assert not reports_folder(run_id).exists()


def test_half_a_model_is_replaced_by_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    check = gate.Check("floor", True, "as the test asks for")
    monkeypatch.setattr(gate, "check", lambda *_: Verdict((check,), ahead=True))
    import mlflow

    _cut(monkeypatch, mlflow.MlflowClient, "log_model_artifacts", after=False)
    run_id = die(_publish)
    _check(run_id, take_up(run_id, _publish), passed=True)


def test_the_folder_of_a_finished_run_is_gone(tmp_path: Path) -> None:
    result = run(_publish)
    assert Path(result["report"]).exists()
    assert lives.crashed() == []
