"""The strategy of a credit job: what may be asked for, who is told, and what it may not touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from domains.errors import InputError
from models.federated import Client, Terms
from models.federated.terms import EVERYONE
from models.scorecard_rate import QUIET
from models.strategies import STRATEGIES
from pipelines.settings import CreditConfig, load_config, open_ledger
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.strategy import (
    check_strategy,
    described,
    paced,
    rate_of,
    strategy_of,
    terms_of,
)
from pipelines.tracking import open_job
from privacy.plan import PrivacyPlan, Schedule
from tests.domains.sample_loans import sample_loans


def configured(*overrides: str) -> CreditConfig:
    config = load_config("credit", overrides=list(overrides))
    assert isinstance(config, CreditConfig)
    return config


def test_the_default_is_federated_averaging_of_everyone_by_size() -> None:
    strategy, terms = strategy_of(configured()), terms_of(configured())
    assert repr(strategy) == "FedAvg(1.1, momentum=0.8, averaged=0.5)"
    assert terms == EVERYONE
    assert described(configured(), 1, {}) == ""


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_had_by_name_with_what_the_job_says(name: str) -> None:
    strategy = strategy_of(configured(f"strategy={name}", "learning_rate=0.7", "momentum=0.3"))
    assert (strategy.learning_rate, strategy.momentum) == (0.7, 0.3)
    assert name in described(configured(f"strategy={name}"), 2, {}) or name == "fedavg"


def test_a_scorecards_steps_are_shorter_where_noise_is_loud_unless_a_number_is_said() -> None:
    quiet = Schedule(50, 1, 1.0)
    loud = PrivacyPlan(**vars(quiet), epsilon=1, delta=1e-5, noise_multiplier=28, clip_norm=2.5)
    clients = [Client("bank", torch.zeros(0, 2), torch.zeros(0), 500.0)]
    usual, said = configured(), configured("learning_rate=0.9")
    assert rate_of(usual, clients, quiet) == QUIET
    assert rate_of(said, clients, quiet) == rate_of(said, clients, loud) == 0.9
    shorter = rate_of(usual, clients, loud)
    assert shorter < QUIET
    assert strategy_of(usual, rate=shorter).learning_rate == shorter
    assert (paced(usual, clients, quiet), paced(said, clients, loud)) == ("", "")
    assert paced(usual, clients, loud).startswith(f"steps of {shorter:.2g}, 1.1 without")


def test_terms_are_what_the_configuration_says() -> None:
    said = ["weights=equal", "participation=0.5", "dropout=0.1"]
    said += ["updates={times_median: 3, longest: 2, beyond: clip}"]
    assert terms_of(configured(*said)) == Terms("equal", 0.5, 0.1, 3.0, 2.0, "clip")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["strategy=fedprx"], "strategy: expected fedavg, fedprox, .* found 'fedprx'"),
        (["strategy_settings.mu=1"], "strategy_settings.mu: no setting of strategy fedavg"),
        (["strategy=fedprox", "strategy_settings.mu=-1"], "strategy_settings.mu: found -1.0"),
        (["strategy=trimmed-mean", "strategy_settings.trim=.5"], "strategy_settings.trim: found"),
        (
            ["strategy=fedadam", "strategy_settings.tau=.nan"],
            "strategy_settings.tau: expected a finite number",
        ),
        (["learning_rate=0"], "learning_rate: expected greater than 0 or 'auto', found 0"),
        (["learning_rate=auto", "model=mlp"], "learning_rate: auto is for model: scorecard"),
        (["participation=0"], "participation: expected greater than 0, found 0"),
        (["dropout=1"], "dropout: expected less than 1, found 1"),
        (["weights=loud"], "weights: expected 'size' or 'equal', found 'loud'"),
        (["updates.times_median=0.5"], "updates.times_median: expected greater than or equal to 1"),
        (["updates.longest=.inf"], "updates.longest: expected a finite number"),
        (["updates.beyond=x"], "updates.beyond: expected 'exclude' or 'clip', found 'x'"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_key(overrides: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        configured(*overrides)
    assert "\n" not in str(caught.value)


def test_sizes_are_refused_where_each_client_counts_once() -> None:
    with pytest.raises(InputError, match=r"weights: found size, .*median counts each client once"):
        check_strategy(configured("strategy=median", "weights=size"), 20)
    check_strategy(configured("strategy=median", "weights=equal"), 20)


def test_a_note_tells_a_correction_that_cannot_work_and_who_was_not_taken() -> None:
    config = configured("strategy=fedprox", "strategy_settings.mu=0.5", "participation=0.25")
    said = described(config, 1, {"bank a": {"too long": 2}})
    assert "strategy fedprox, mu 0.5" in said
    assert "with one local step is fedavg" in said
    assert "25% of the clients" in said
    assert "bank a (too long in 2 rounds)" in said
    assert "one local step" not in described(config, 2, {})


def test_too_few_clients_are_refused_before_anyone_is_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELEDGER_HOME", str(tmp_path / "home"))
    sample_loans(300).to_csv(tmp_path / "loans.csv", index=False)
    values: dict[str, Any] = {
        "data": {"path": tmp_path / "loans.csv", "name": "loans"},
        "target": {"column": "defaulted", "positive": 1},
        "clients": {"column": "bank", "top": 2},
        "privacy": {"epsilon": 6, "delta": 1e-4, "grant": {"epsilon": 6, "delta": 1e-4}},
        "strategy": "median",
    }
    with (
        pytest.raises(InputError, match="median: found 2 of 2 clients a round, expected at least"),
        open_job("credit", CreditConfig.model_validate(values)) as job,
    ):
        charge.fn(job, find_loans.fn(job))
    assert open_ledger().budgets() == []
