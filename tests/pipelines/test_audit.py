"""The audit passes what keeps its promise and fails each planted bug, on either engine.

What is audited here is a claim made for the test: the plan is calibrated, the charge is the plan's,
and everything from there on is the real engine. Randomness is the operating system's. A good run
fails by its noise with a chance of 1e-6; for its canaries to fail, as many guesses would have to be
right as lie ten standard deviations above what is expected.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from opacus.grad_sample import GradSampleHooksFastGradientClipping

from models.federated import rounds, stacked
from pipelines.auditing import attack, checks
from pipelines.auditing.audit import Audit, describe, examine
from pipelines.auditing.claim import Claim
from privacy import noise
from privacy.plan import PrivacyPlan, calibrate

SAMPLED: dict[str, Any] = {"rounds": 5, "local_steps": 3, "sampling_rate": 0.2, "clip_norm": 4.0}
FULL: dict[str, Any] = {"rounds": 12, "local_steps": 1, "sampling_rate": 1.0, "clip_norm": 1.0}
Plant = Callable[[pytest.MonkeyPatch], None]


def made(kind: str, columns: int = 0) -> PrivacyPlan:
    """A net on sampled records, or a scorecard on all of them, ε 4."""
    shape = SAMPLED if kind == "mlp" else FULL
    lists = min(columns, 1)
    return calibrate(
        4.0, 1e-5, **shape, setup_share=0.1, setup_columns=columns, setup_categories=lists
    )


plan_of = lru_cache(made)


def claimed(kind: str, plan: PrivacyPlan | None = None) -> Claim:
    """Three owners, each charged what the plan says."""
    plan = plan or plan_of(kind)
    return Claim(
        run_id="0" * 32,
        version="credit-loans 1",
        plan=plan,
        epsilon=plan.spent(),
        records=(70.0, 140.7, 210.0),
        codes=20,
        model=kind,
        hidden=8,
        charged=dict.fromkeys(("loans/North", "loans/South", "loans/West"), plan.events()),
    )


def failed(found: Audit) -> set[str]:
    return {check.name for check in found.checks if not check.passed}


def one_by_one(patch: pytest.MonkeyPatch) -> None:
    """Have Opacus train the clients, as it does every net that cannot be stacked; with fewer draws
    of noise, because it is slower."""
    patch.setattr(attack, "_VALUES", 1 << 14)
    patch.setattr(rounds, "layers_of", lambda model: None)


def halved_noise(patch: pytest.MonkeyPatch) -> None:
    """Every draw half as large as it should be."""
    one, many = noise.add_gaussian, noise.gaussian
    patch.setattr(noise, "add_gaussian", lambda values, sigma: one(values, sigma / 2))
    patch.setattr(noise, "gaussian", lambda shape, sigma: many(shape, sigma / 2))


def missing_clip(patch: pytest.MonkeyPatch) -> None:
    """Gradients go into the sum as they are."""
    patch.setattr(stacked, "clip", lambda *_: None)
    patch.setattr(GradSampleHooksFastGradientClipping, "get_clipping_coef", unclipped)


def unclipped(hooks: GradSampleHooksFastGradientClipping) -> Any:
    return hooks.get_norm_sample().clamp(1.0, 1.0)


def forgotten_round(patch: pytest.MonkeyPatch) -> None:
    """Owners are charged for one round less than is taken, and the noise is made for that."""

    def events(plan: PrivacyPlan) -> list[dict[str, Any]]:
        return [*plan.round_events(plan.rounds - 1), *plan.setup_events()]

    patch.setattr(PrivacyPlan, "events", events)


@pytest.fixture
def without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lower bound on ε, which takes longest and decides nothing."""
    monkeypatch.setattr(checks, "epsilon_at_least", lambda *_: 0.0)


@pytest.mark.parametrize("kind", ["mlp", "scorecard"])
def test_a_good_run_passes_and_says_how_close_it_came(kind: str) -> None:
    found = examine(claimed(kind, plan_of(kind, 3)))
    assert failed(found) == set(), describe(found)
    told = found.to_json()["checks"]
    assert 0.0 <= told["canaries"]["epsilon_at_least"] < told["canaries"]["epsilon_told_for_all"]
    assert told["canaries"]["strength"] > 0.99
    assert told["canaries"]["canaries"] >= 1000
    for where in ("unused_columns", "every_weight"):
        assert told["noise"][where]["values"] >= 100_000
        assert told["noise"][where]["ratio"] == pytest.approx(1.0, rel=0.02)
        assert told["noise"][where]["detectable"] < 0.025
    assert told["setup"]["tested"]
    assert told["setup"]["mixes"][0]["ratio"] == pytest.approx(1.0, rel=0.03)
    assert told["count"]["setup_charged"]
    assert told["count"]["noised"] == found.claim.plan.steps
    assert max(told["clip"]["moves"].values()) <= 1.001
    assert json.dumps(found.to_json())
    said = describe(found).splitlines()
    assert said[-1].startswith("passed: the setup, training and its charge")
    assert said[-2].strip().startswith("not tested: ")


def test_where_nothing_was_read_for_a_setup_the_verdict_leaves_it_out(without_bounds: None) -> None:
    said = describe(examine(claimed("scorecard"))).splitlines()
    assert "setup     nothing to test" in said[1]
    assert said[-1].startswith("passed: training and its charge")


def test_a_good_run_passes_with_the_other_engine(
    without_bounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(monkeypatch)
    assert failed(examine(claimed("mlp"))) == set()


@pytest.mark.parametrize(
    ("kind", "plant", "expected"),
    [
        ("mlp", halved_noise, {"noise"}),
        ("scorecard", halved_noise, {"noise"}),
        ("mlp", missing_clip, {"clip"}),
        ("scorecard", missing_clip, {"canaries", "clip"}),
        ("mlp", forgotten_round, {"count"}),
        ("scorecard", forgotten_round, {"count"}),
    ],
)
def test_each_planted_bug_fails_the_audit(
    kind: str,
    plant: Plant,
    expected: set[str],
    without_bounds: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    plan = made(kind) if plant is forgotten_round else None
    assert failed(examine(claimed(kind, plan))) >= expected


@pytest.mark.parametrize(
    ("plant", "expected"), [(halved_noise, {"noise"}), (missing_clip, {"clip"})]
)
def test_each_planted_bug_fails_the_audit_of_the_other_engine(
    plant: Plant, expected: set[str], without_bounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one(monkeypatch)
    plant(monkeypatch)
    assert failed(examine(claimed("mlp"))) >= expected


def test_noise_that_spares_some_weights_is_seen(
    without_bounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last weight of the last client, a bias, is released as it is."""
    whole = noise.add_gaussian

    def all_but_one(values: np.ndarray, sigma: float) -> None:
        whole(values[:-1], sigma)

    monkeypatch.setattr(noise, "add_gaussian", all_but_one)
    assert "noise" in failed(examine(claimed("scorecard")))


def test_a_round_more_than_planned_is_counted(
    without_bounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed("scorecard")
    fewer = replace(claim.plan, rounds=claim.plan.rounds - 1)
    unpaid = replace(claim, charged=dict.fromkeys(claim.charged, fewer.events()))
    assert failed(examine(unpaid)) == {"count"}


def test_a_run_that_nobody_was_charged_for_fails(without_bounds: None) -> None:
    assert "count" in failed(examine(replace(claimed("scorecard"), charged={})))


def test_a_step_more_than_planned_is_counted(
    without_bounds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = rounds.train_clients

    def and_another(training: Any, *others: Any) -> Any:
        schedule = replace(training.schedule, local_steps=training.schedule.local_steps + 1)
        return taken(replace(training, schedule=schedule), *others)

    monkeypatch.setattr(rounds, "train_clients", and_another)
    assert {"count", "noise"} <= failed(examine(claimed("mlp")))
