"""The credit pipeline with model: trees: refused settings, a private run, a public one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domains.errors import InputError
from models.credit import CreditScorer
from models.scorer import load
from models.trees import Trees
from pipelines.auditing.audit import Audit, describe, examine
from pipelines.auditing.claim import read_claim
from pipelines.credit import credit
from pipelines.governance import registry
from pipelines.settings import CreditConfig, open_ledger
from pipelines.steps.credit.training import train_federated
from pipelines.tracking import open_job
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import PRIVATE, config_of, prepare_in

TREES: dict[str, Any] = {"model": "trees", "sampling_rate": None, "learning_rate": None}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sampling_rate": 0.5}, r"sampling_rate: model: trees takes 1, found 0\.5"),
        ({"averaged": 0.5}, r"averaged: model: trees takes 0, found 0\.5"),
        ({"clip_norm": 2.0}, "clip_norm: a record adds 1 to a tree at most"),
        ({"codes": "steps"}, "codes: found steps; bins is for model: trees"),
        ({"strategy": "fedprox"}, "strategy: model: trees has none"),
        ({"strategy": "scaffold"}, "strategy: model: trees has none"),
        ({"weights": "equal"}, "weights: model: trees has none"),
        ({"participation": 0}, "participation: expected greater than 0, found 0"),
        ({"dropout": 1}, "dropout: expected less than 1, found 1"),
        ({"monotone": {"amount": "up"}}, "monotone: needs model: scorecard"),
        ({"trees": {"depth": 0}}, r"trees\.depth"),
        ({"trees": {"leaves": 8}}, r"trees\.leaves"),
    ],
)
def test_what_trees_do_not_have_is_refused_by_name(
    keys: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        config_of(tmp_path, **{**TREES, **keys})


def test_other_models_do_not_take_the_codes_of_trees(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="codes: found bins"):
        config_of(tmp_path, model="scorecard", codes="bins")


def test_each_other_model_is_trained_as_it_is_by_default() -> None:
    for model in ("scorecard", "mlp", "trees"):
        others = CreditConfig.model_validate({"model": model}).others()
        assert [each.model for each in others] == [
            name for name in ("mlp", "scorecard", "trees") if name != model
        ]
        for other in others:
            alone = CreditConfig.model_validate({"model": other.model})
            assert other.model_dump() == alone.model_dump()


def test_a_record_is_a_code_a_feature(tmp_path: Path, home: Path) -> None:
    with open_job("credit", config_of(tmp_path, **TREES)) as job:
        prepared = prepare_in(job)
        assert prepared.encoder.coding.kind == "bins"
        assert prepared.encoder.width == len(prepared.encoder.features) == 3
        assert (prepared.codes == prepared.codes.round()).all()


def test_owners_are_charged_for_every_tree_whoever_is_drawn(tmp_path: Path, home: Path) -> None:
    keys = {**TREES, "participation": 0.5, "updates": {"times_median": 5.0}}
    with open_job("credit", config_of(tmp_path, **keys)) as job:
        prepared = prepare_in(job)
        trained = train_federated.fn(job, prepared)
        charged = open_ledger().charged(job.run_id)
    drawn = -(-len(prepared.sizes) // 2)
    assert {point["clients"] for point in trained.history} == {float(drawn)}
    assert "50% of the clients drawn for each round" in trained.note
    plan = prepared.charged.plan
    assert plan is not None
    for events in charged.values():
        training = [e for e in events if e.get("sigma") == plan.noise_multiplier]
        assert [e["count"] for e in training] == [6 * 20]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, Any]:
    """One private run, and its version loaded from the registry."""
    folder = tmp_path_factory.mktemp("trees")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        result: dict[str, Any] = credit(config_of(folder, **TREES))
        scorer = load(registry.package_folder("credit-loans", "1"))
        charged = open_ledger().charged(result["run_id"])
        audited = examine(read_claim(result["run_id"]))
    return {"result": result, "scorer": scorer, "charged": charged, "audited": audited}


def test_a_private_run_trains_registers_and_scores(run: dict[str, Any]) -> None:
    scorer = run["scorer"]
    assert isinstance(scorer, CreditScorer)
    assert isinstance(scorer.model, Trees)
    assert run["result"]["metrics"]["auroc"] > 0.6
    assert scorer.predict(sample_loans(50))["probability"].between(0, 1).all()
    assert run["result"]["privacy"]["epsilon"] <= 6


def test_owners_are_charged_for_as_many_events_as_there_are_trees(run: dict[str, Any]) -> None:
    privacy, trees = run["result"]["privacy"], len(run["scorer"].model.value)
    assert privacy["rounds"] * privacy["local_steps"] == trees == 6 * 20
    for events in run["charged"].values():
        training = [e for e in events if e.get("sigma") == privacy["noise_multiplier"]]
        assert [(e["kind"], e["count"]) for e in training] == [("gaussian", trees)]


def test_an_audit_of_the_run_passes(run: dict[str, Any]) -> None:
    audited: Audit = run["audited"]
    assert audited.passed, describe(audited)
    assert audited.claim.depth == run["scorer"].model.feature.shape[1]


def test_reasons_name_features_that_raise_the_risk(run: dict[str, Any]) -> None:
    for reasons in run["scorer"].reasons(sample_loans(40)):
        raised = [reason.log_odds for reason in reasons]
        assert all(value > 0 for value in raised)
        assert raised == sorted(raised, reverse=True)


@pytest.mark.slow
def test_public_records_train_every_control_of_trees(
    tmp_path: Path, home: Path, prefect_server: str
) -> None:
    data = {**PRIVATE["data"], "public": True}
    result = credit(config_of(tmp_path, data=data, release=None, **TREES))
    central = {"alone", "pooled", "gradient boosting"}
    assert set(result["controls"]) == {"mlp", "scorecard", "no noise", "no privacy", *central}
    assert all(each["auroc"] > 0.6 for each in result["controls"].values())
