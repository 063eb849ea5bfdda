"""The credit pipeline: what its runs leave, and what they tell of records that are nobody's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.errors import InputError, Refused
from domains.metrics import Interval
from models.scorecard_points import Scorecard
from models.scorer import load
from pipelines.credit import credit
from pipelines.governance import registry
from pipelines.steps.credit import words
from pipelines.steps.credit.evidence import evaluate, held_out
from pipelines.steps.credit.training import package_of, train_federated
from pipelines.tracking import client, open_job
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import PRIVATE, config_of, prepare_in, spent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, Any]:
    """One private run, released metrics; then a second on the same grant and a broken file."""
    folder = tmp_path_factory.mktemp("credit")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        result: dict[str, Any] = credit(config_of(folder))
        evidence = registry.stored_evidence(client().get_model_version("credit-loans", "1"))
        scored = load(registry.package_folder("credit-loans", "1")).predict(sample_loans(50))
        broken = config_of(folder, sample_loans().assign(amount=np.inf, defaulted=None))
        with pytest.raises(Refused, match="budget grant") as second:
            credit(broken)
        after, versions = spent(), registry.list_versions()
    return {
        "result": result,
        "evidence": evidence,
        "scored": scored,
        "second": str(second.value),
        "spent": after,
        "versions": versions,
    }


def test_a_private_run_ends_in_a_version_with_test_metrics(run: dict[str, Any]) -> None:
    metrics = run["result"]["metrics"]
    for name in ("auroc", "auroc_client_mean", "ks", "gini", "ece"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"], name
    assert metrics["auroc"] > 0.6
    floor = next(r for r in run["result"]["gate"]["reasons"] if r.startswith("floor"))
    assert f"{metrics['auroc_low']:.4f} to {metrics['auroc_high']:.4f}" in floor
    assert run["result"]["model"]["name"] == "credit-loans"
    assert run["scored"]["probability"].between(0, 1).all()


def test_every_owner_is_charged_within_the_target(run: dict[str, Any]) -> None:
    privacy = run["result"]["privacy"]
    assert privacy["unit"] == "record"
    assert set(privacy["owners"]) == {"loans/North", "loans/South", "loans/West"}
    assert 5.5 < privacy["epsilon"] <= 6
    assert all(o["spent"] == pytest.approx(privacy["epsilon"]) for o in privacy["owners"].values())
    assert privacy["ledger"]["length"] > 0


def test_other_accountants_agree_with_the_charge(run: dict[str, Any]) -> None:
    privacy = run["result"]["privacy"]
    checked = privacy["checked_by"]
    assert checked["opacus_prv"] == pytest.approx(privacy["epsilon"], rel=0.03)
    assert checked["opacus_rdp"] >= 0.98 * privacy["epsilon"]


def test_private_records_train_no_control(run: dict[str, Any]) -> None:
    assert run["result"]["controls"] == {}
    assert [arm["name"] for arm in run["evidence"]["arms"]] == ["federated"]


def test_a_second_run_is_refused_before_its_broken_file_is_read(run: dict[str, Any]) -> None:
    assert "granted" in run["second"]
    assert run["spent"]["loans/North"] == pytest.approx(run["result"]["privacy"]["epsilon"])
    assert len(run["versions"]) == 1


def test_no_record_leaves_a_trace_in_the_evidence(run: dict[str, Any]) -> None:
    text = json.dumps(run["evidence"])
    assert not any(str(amount) in text for amount in sample_loans()["amount"])


def test_no_rate_of_training_records_is_told(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {**PRIVATE["data"], "date": "approved", "out_of_time": "2007-01-01"}
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(words, "over_time", lambda *said: told.append(said[2]))
    with open_job("credit", config_of(tmp_path, data=data, exclude=[])) as job:
        prepared = prepare_in(job)
        evaluate.fn(job, prepared, [train_federated.fn(job, prepared)])
        facts = prepared.facts
    rates = facts.groupby("part")["y"].mean()
    assert rates["test"] != facts["y"][~facts["later"]].mean()
    assert told == [pytest.approx((rates["test"], rates["out-of-time"]))]


def test_a_split_is_named_by_all_that_decides_it(tmp_path: Path, home: Path) -> None:
    def name(**keys: Any) -> str:
        with open_job("credit", config_of(tmp_path, **plain, **keys)) as job:
            return held_out(prepare_in(job), 0).split

    plain: dict[str, Any] = {"privacy": None, "release": None}
    data = {"path": "loans.csv", "public": True, "name": "loans", "date": "approved"}
    first = name(data=data)
    assert first == name(data=data, rounds=3)
    others = [
        name(data=data | {"name": "others"}),
        name(data=data | {"id": "amount"}),
        name(data=data, clients={"column": "purpose"}),
        name(data=data, clients={"column": "bank", "top": 2}),
        name(data=data, clients={"count": 3}),
        name(data=data, scale="tiny"),
    ]
    assert len({first, *others}) == 7


def test_protected_columns_are_never_features(tmp_path: Path, home: Path) -> None:
    with open_job("credit", config_of(tmp_path)) as job:
        prepared = prepare_in(job)
        assert sorted(prepared.encoder.columns) == ["amount", "income", "purpose"]


@pytest.mark.parametrize("model", ["scorecard", "mlp", "trees"])
def test_without_leave_no_number_of_held_out_records_is_told(
    model: str, tmp_path: Path, home: Path
) -> None:
    keys = {"sampling_rate": None} if model == "trees" else {}
    with open_job("credit", config_of(tmp_path, release=None, model=model, **keys)) as job:
        prepared = prepare_in(job)
        trained = train_federated.fn(job, prepared)
        evidence = evaluate.fn(job, prepared, [trained])
        scorer: Any = load(package_of(job))
    assert evidence.metrics == {}
    assert evidence.figures == []
    assert evidence.tables == []
    assert evidence.calibration["method"] == "none"
    assert evidence.split == {"all": {"records": 1200}}
    assert trained.calibration == (1.0, 0.0)
    assert isinstance(scorer, Scorecard) or (scorer.slope, scorer.intercept) == (1.0, 0.0)
    assert (evidence.scorecard is not None) == (model == "scorecard")
    assert evidence.privacy is not None


def test_a_scorecards_table_stands_beside_its_run(run: dict[str, Any]) -> None:
    table = run["evidence"]["scorecard"]
    assert {row[0] for row in table["rows"]} == {"(start)", "amount", "income", "purpose"}
    assert "score" in run["scored"]
    page = Path(run["result"]["report"]).read_text()
    card = Path(run["result"]["report"]).with_name("model_card.md").read_text()
    for text in ("The scorecard", "points</b> to start with"):
        assert text in page
    assert "## Scorecard" in card


@pytest.mark.parametrize(
    ("scorecard", "trees", "said"),
    [
        (Interval(-0.012, -0.02, -0.004), Interval(-0.003, -0.004, -0.002), "set model: scorecard"),
        (Interval(0.012, 0.004, 0.02), Interval(-0.003, -0.004, -0.002), "set model: trees"),
        (Interval(0.012, 0.004, 0.02), Interval(-0.003, -0.008, 0.002), "keep model: mlp"),
    ],
)
def test_the_best_model_on_validation_is_proposed_by_name(
    scorecard: Interval, trees: Interval, said: str
) -> None:
    *beside, last = words.proposal("mlp", {"scorecard": scorecard, "trees": trees})
    assert last == said
    assert len(beside) == 2
    first = "scorecard is ahead of mlp" if scorecard.high < 0 else "mlp is ahead of scorecard"
    assert beside[0].startswith(f"{first} on validation by 0.012 (0.004 to 0.020)")
    unclear = "cannot be told apart on validation"
    assert (unclear in beside[1]) == (trees.high > 0)


def test_public_records_train_every_control(
    tmp_path: Path, home: Path, prefect_server: str
) -> None:
    data = {**PRIVATE["data"], "public": True, "date": "approved", "out_of_time": "2007-01-01"}
    result = credit(config_of(tmp_path, data=data, release=None, exclude=[]))
    central = {"alone", "pooled", "gradient boosting"}
    assert set(result["controls"]) == {"mlp", "trees", "no noise", "no privacy", *central}
    name = "validation.auroc_difference"
    for other in ("mlp", "trees"):
        ahead = result["controls"][other]
        assert ahead[f"{name}_low"] <= ahead[name] <= ahead[f"{name}_high"]
    version = client().get_model_version("credit-loans", "1")
    stored = registry.stored_evidence(version)
    findings = [
        *stored["findings"],
        *(line for told in stored["remarks"].values() for line in told),
    ]
    assert len(stored["findings"]) <= 8
    assert sum(finding.startswith("Which model: ") for finding in findings) == 3
    for start in (
        "Noise: ",
        "Privacy, its few steps among it: ",
        "Walls between lenders: ",
    ):
        assert sum(finding.startswith(start) for finding in findings) == 1, start
    assert all("auroc" in metrics for metrics in result["controls"].values())
    for metrics in (result["metrics"], result["controls"]["gradient boosting"]):
        assert metrics["out_of_time.auroc_low"] <= metrics["out_of_time.auroc"]


def test_controls_on_private_records_are_refused_by_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="controls: full"):
        config_of(tmp_path, controls="full")
