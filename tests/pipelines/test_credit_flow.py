"""The credit pipeline: no record is read before its owner's budget allows it; what follows then."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.banking import census
from domains.errors import InputError, Refused
from domains.metrics import Interval
from models.scorecard_points import Scorecard
from models.scorer import load
from pipelines.credit import credit
from pipelines.governance import registry
from pipelines.settings import CreditConfig, ledger_path, load_config
from pipelines.steps.credit import words
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.evidence import evaluate, held_out
from pipelines.steps.credit.prepare import Prepared, prepare
from pipelines.steps.credit.statement import checks
from pipelines.steps.credit.training import package_of, train_federated
from pipelines.tracking import client, open_job
from privacy.ledger import Ledger
from tests.domains.sample_loans import sample_loans

PRIVATE: dict[str, Any] = {
    "data": {"path": "loans.csv", "name": "loans"},
    "target": {"column": "defaulted", "positive": 1},
    "clients": {"column": "bank"},
    "protected": ["sex"],
    "exclude": ["approved"],
    "bounds": {"amount": [0, 1e6]},
    "privacy": {"epsilon": 6, "delta": 1e-4, "grant": {"epsilon": 6, "delta": 1e-4}},
    "release": "metrics",
    "rounds": 6,
    "sampling_rate": 0.2,
    "learning_rate": 1,
}


def _config(folder: Path, frame: pd.DataFrame | None = None, **keys: Any) -> CreditConfig:
    """A configuration beside a file of loans, read as a user's is."""
    (sample_loans() if frame is None else frame).to_csv(folder / "loans.csv", index=False)
    (folder / "job.yaml").write_text(json.dumps({**PRIVATE, **keys}))  # JSON is YAML
    config = load_config("credit", folder / "job.yaml")
    assert isinstance(config, CreditConfig)
    return config


def _prepared(config: CreditConfig) -> Prepared:
    """The flow up to encoded records."""
    with open_job("credit", config) as job:
        return prepare.fn(job, charge.fn(job, find_loans.fn(job)))


def _spent() -> dict[str, float]:
    return {b.owner: b.epsilon_spent for b in Ledger(ledger_path()).budgets()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, Any]:
    """One private run, released metrics; then a second on the same grant and a broken file."""
    folder = tmp_path_factory.mktemp("credit")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        result: dict[str, Any] = credit(_config(folder))
        evidence = registry.stored_evidence(client().get_model_version("credit-loans", "1"))
        scored = load(registry.package_folder("credit-loans", "1")).predict(sample_loans(50))
        broken = _config(folder, sample_loans().assign(amount=np.inf, defaulted=None))
        with pytest.raises(Refused, match="budget grant") as second:
            credit(broken)
        after, versions = _spent(), registry.list_versions()
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


def test_nothing_but_the_clients_column_is_read_before_the_charge(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def spy(path: Path, columns: Any = None) -> pd.DataFrame:
        asked.append(columns)
        return pd.read_csv(path, usecols=columns)

    monkeypatch.setattr(census, "read_table", spy)
    with open_job("credit", _config(tmp_path)) as job:
        charge.fn(job, find_loans.fn(job))
    assert asked == [["bank"]]


def test_without_a_grant_the_run_is_refused_with_the_command(tmp_path: Path, home: Path) -> None:
    config = _config(tmp_path, privacy={"epsilon": 6, "delta": 1e-4})
    with pytest.raises(Refused, match="careledger budget grant"):
        _prepared(config)


def test_all_owners_are_charged_or_none(tmp_path: Path, home: Path) -> None:
    for owner, epsilon in (("loans/North", 10.0), ("loans/South", 1.0), ("loans/West", 10.0)):
        Ledger(ledger_path()).grant(owner, epsilon, 1e-4)
    with pytest.raises(Refused, match="loans/South"):
        _prepared(_config(tmp_path))
    assert set(_spent().values()) == {0.0}


def test_a_mistake_in_the_file_gives_the_charge_back(tmp_path: Path, home: Path) -> None:
    frame = sample_loans()
    frame.loc[3, "defaulted"] = None
    with pytest.raises(InputError, match="'defaulted' is empty in 1 of 1200"):
        _prepared(_config(tmp_path, frame))
    assert set(_spent().values()) == {0.0}
    _prepared(_config(tmp_path))  # and the same grant pays for the mended file


def test_bounds_on_a_text_column_give_the_charge_back(tmp_path: Path, home: Path) -> None:
    with pytest.raises(InputError, match="column 'purpose': text, expected a number"):
        _prepared(_config(tmp_path, bounds={"purpose": [0, 1]}))
    assert set(_spent().values()) == {0.0}


def test_cutting_the_clients_otherwise_brings_no_new_budget(tmp_path: Path, home: Path) -> None:
    _prepared(_config(tmp_path))
    for clients in ({"count": 2}, {"column": "purpose"}):
        with pytest.raises(Refused, match=r"set clients\.column: bank"):
            _prepared(_config(tmp_path, clients=clients, exclude=["approved", "sex"]))
    assert set(_spent()) == {"loans/North", "loans/South", "loans/West"}


def test_another_number_of_parts_is_the_same_cut(tmp_path: Path, home: Path) -> None:
    privacy = PRIVATE["privacy"] | {"grant": {"epsilon": 20, "delta": 1e-4}}
    for count in (2, 4):
        clients, exclude = {"count": count}, ["approved", "bank"]
        _prepared(_config(tmp_path, clients=clients, exclude=exclude, privacy=privacy))
    with pytest.raises(Refused, match=r"set clients\.count"):
        _prepared(_config(tmp_path, privacy=privacy))
    assert set(_spent()) == {"loans"}


def test_the_same_records_with_a_constant_column_are_known_again(
    tmp_path: Path, home: Path
) -> None:
    _prepared(_config(tmp_path))
    data = {"path": "loans.csv", "name": "fresh"}
    with pytest.raises(Refused, match="known under the name loans"):
        _prepared(_config(tmp_path, sample_loans().assign(country="US"), data=data))


def test_no_rate_of_training_records_is_told(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {**PRIVATE["data"], "date": "approved", "out_of_time": "2007-01-01"}
    told: list[tuple[float, float]] = []
    monkeypatch.setattr(words, "over_time", lambda *said: told.append(said[2]))
    with open_job("credit", _config(tmp_path, data=data, exclude=[])) as job:
        prepared = prepare.fn(job, charge.fn(job, find_loans.fn(job)))
        evaluate.fn(job, prepared, [train_federated.fn(job, prepared)])
        facts = prepared.facts
    rates = facts.groupby("part")["y"].mean()
    assert rates["test"] != facts["y"][~facts["later"]].mean()
    assert told == [pytest.approx((rates["test"], rates["out-of-time"]))]


def test_a_split_is_named_by_all_that_decides_it(tmp_path: Path, home: Path) -> None:
    def name(**keys: Any) -> str:
        with open_job("credit", _config(tmp_path, **plain, **keys)) as job:
            return held_out(prepare.fn(job, charge.fn(job, find_loans.fn(job))), 0).split

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


def test_the_same_records_under_another_name_are_refused_and_cost_nothing(
    tmp_path: Path, home: Path
) -> None:
    _prepared(_config(tmp_path))
    renamed = _config(tmp_path, data={"path": "loans.csv", "name": "fresh"})
    with pytest.raises(Refused, match="known under the name loans"):
        _prepared(renamed)
    assert _spent()["fresh/North"] == 0.0


def test_clients_that_the_job_cuts_share_one_owner(tmp_path: Path, home: Path) -> None:
    prepared = _prepared(_config(tmp_path, clients={"count": 4}, exclude=["approved", "bank"]))
    assert prepared.charged.owners == ("loans",)
    plan = prepared.charged.plan
    assert plan is not None
    assert _spent()["loans"] == pytest.approx(plan.spent())


def test_protected_columns_are_never_features(tmp_path: Path, home: Path) -> None:
    with open_job("credit", _config(tmp_path)) as job:
        prepared = prepare.fn(job, charge.fn(job, find_loans.fn(job)))
        assert sorted(prepared.encoder.columns) == ["amount", "income", "purpose"]


@pytest.mark.parametrize("model", ["scorecard", "mlp"])
def test_without_leave_no_number_of_held_out_records_is_told(
    model: str, tmp_path: Path, home: Path
) -> None:
    with open_job("credit", _config(tmp_path, release=None, model=model)) as job:
        prepared = prepare.fn(job, charge.fn(job, find_loans.fn(job)))
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


def test_a_direction_of_a_category_gives_the_charge_back(tmp_path: Path, home: Path) -> None:
    with pytest.raises(InputError, match="monotone: column 'purpose' holds categories"):
        _prepared(_config(tmp_path, monotone={"purpose": "up"}))
    assert set(_spent().values()) == {0.0}


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
    ("gap", "said"),
    [
        (Interval(-0.012, -0.02, -0.004), "0.012 (0.004 to 0.020): set model: scorecard"),
        (Interval(0.012, 0.004, 0.02), "0.012 (0.004 to 0.020): keep model: mlp"),
        (Interval(0.001, -0.004, 0.006), "cannot be told apart on validation"),
    ],
)
def test_the_better_model_on_validation_is_proposed_by_name(gap: Interval, said: str) -> None:
    assert said in words.proposal("mlp", "scorecard", gap)


def test_public_records_train_every_control(
    tmp_path: Path, home: Path, prefect_server: str
) -> None:
    data = {**PRIVATE["data"], "public": True, "date": "approved", "out_of_time": "2007-01-01"}
    result = credit(_config(tmp_path, data=data, release=None, exclude=[]))
    central = {"alone", "pooled", "gradient boosting"}
    assert set(result["controls"]) == {"mlp", "no noise", "no privacy", *central}
    ahead = result["controls"]["mlp"]
    name = "validation.auroc_difference"
    assert ahead[f"{name}_low"] <= ahead[name] <= ahead[f"{name}_high"]
    version = client().get_model_version("credit-loans", "1")
    findings = registry.stored_evidence(version)["findings"]
    for start in (
        "Which model: ",
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
        _config(tmp_path, controls="full")


def test_what_opacus_finds_includes_the_bins(tmp_path: Path, home: Path) -> None:
    plan = _prepared(_config(tmp_path)).charged.plan
    assert plan is not None
    assert plan.setup_columns == 2  # income and purpose; amount has public bounds
    assert checks(plan.events(), plan.delta)["opacus_prv"] == pytest.approx(plan.spent(), rel=0.03)
