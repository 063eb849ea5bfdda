"""`careledger audit` of real runs: passed, failed where a round was not charged, or one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow.artifacts import list_artifacts

from pipelines.cli import app, guarded
from pipelines.credit import credit
from pipelines.settings import CreditConfig, load_config, open_ledger
from pipelines.steps.credit import evidence
from pipelines.tracking import client
from privacy.plan import PrivacyPlan
from tests.domains.sample_loans import sample_loans

pytestmark = pytest.mark.slow

JOB: dict[str, Any] = {
    "data": {"path": "loans.csv", "name": "loans"},
    "target": {"column": "defaulted", "positive": 1},
    "clients": {"column": "bank"},
    "protected": ["sex"],
    "exclude": ["approved"],
    "bounds": {"amount": [0, 1e6], "income": [0, 1e6]},
    "privacy": {"epsilon": 4, "delta": 1e-5, "grant": {"epsilon": 30, "delta": 1e-5}},
    "scale": "tiny",
}
OPEN: dict[str, Any] = {
    "data": {**JOB["data"], "public": True},
    "privacy": None,
    "controls": "none",
    "model_name": "open",
}


def trained(folder: Path, name: str, **keys: Any) -> str:
    """A run of the real flow; its id."""
    (folder / f"{name}.json").write_text(json.dumps({**JOB, **keys}))
    config = load_config("credit", folder / f"{name}.json")
    assert isinstance(config, CreditConfig)
    run_id: str = credit(config)["run_id"]
    return run_id


def events_but_for_a_round(plan: PrivacyPlan) -> list[dict[str, Any]]:
    return [*plan.round_events(plan.rounds - 1), *plan.setup_events()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, str]:
    """Runs by what is to be said of them, and the home they are in."""
    folder = tmp_path_factory.mktemp("audit")
    sample_loans(600).to_csv(folder / "loans.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARELEDGER_HOME", str(folder / "home"))
        patch.setattr(evidence, "draw", lambda *_: [])  # nobody looks at the pictures here
        made = {"net": trained(folder, "net", model="mlp")}
        made["card"] = trained(folder, "card", model="scorecard")
        made["open"] = trained(folder, "open", model="scorecard", **OPEN)
        patch.setattr(PrivacyPlan, "events", events_but_for_a_round)
        made["short"] = trained(folder, "short", model="scorecard", model_name="short")
    return {**made, "home": str(folder / "home")}


@pytest.fixture(autouse=True)
def at_home(runs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARELEDGER_HOME", runs["home"])


def audited(*words: str) -> int:
    return guarded(lambda: app(["audit", *words], standalone_mode=False))


@pytest.mark.parametrize("kind", ["net", "card"])
def test_a_good_run_passes_by_its_id_and_the_registry_says_so(
    runs: dict[str, str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spent = [budget.epsilon_spent for budget in open_ledger().budgets()]
    assert audited(runs[kind], "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["passed"]
    assert set(told["checks"]) == {"setup", "canaries", "noise", "count", "clip"}
    assert told["checks"]["setup"]["columns"] == 1  # purpose; all others have public bounds
    assert told["checks"]["canaries"]["epsilon_at_least"] < told["claim"]["epsilon"] <= 4
    assert told["claim"]["clients"] == 3
    assert told["claim"]["model"] == {"net": "mlp", "card": "scorecard"}[kind]
    assert [budget.epsilon_spent for budget in open_ledger().budgets()] == spent
    assert client().get_run(runs[kind]).data.tags["careledger.audit"].startswith("passed 20")
    (version,) = client().search_model_versions(f"run_id='{runs[kind]}'")
    assert version.tags["careledger.audit"].startswith("passed 20")
    assert list_artifacts(run_id=runs[kind], artifact_path="audits")


def test_a_run_that_charged_a_round_too_little_fails_with_status_1(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited("short/1") == 1
    said = capsys.readouterr().out
    assert "FAIL  count" in said
    assert "pass  noise" in said
    assert said.splitlines()[-1].startswith("FAILED")
    assert client().get_run(runs["short"]).data.tags["careledger.audit"].startswith("failed 20")


def test_a_run_without_privacy_promised_nothing(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(runs["open"]) == 2
    assert "without privacy" in one_line(capsys)


@pytest.mark.parametrize(
    ("name", "said"),
    [("f" * 32, "no run ffff"), ("nothing", "nothing"), ("credit-loans/9", "no version")],
)
def test_what_is_not_there_is_one_line(
    name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(name) == 2
    assert said in one_line(capsys)


def test_a_plan_that_cannot_be_read_is_one_line(
    runs: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = "model: scorecard\nnew_key: 3\n"
    client().log_text(runs["card"], config, "config.yaml")
    assert audited(runs["card"]) == 2
    assert "its plan cannot be read" in one_line(capsys)


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.strip().splitlines()
    return line
