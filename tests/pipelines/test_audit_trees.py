"""The audit of boosted trees passes what keeps its promise and fails each planted bug.

Randomness is the operating system's. A good run fails by its noise with a chance of 1e-6; for its
canaries to fail, as many guesses would have to be right as lie ten standard deviations above what
is expected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from models.trees import boosting, leaves
from pipelines.auditing.audit import Audit, describe, examine
from pipelines.auditing.claim import Claim
from pipelines.auditing.trees_attack import shuffled
from privacy import noise
from privacy.plan import PrivacyPlan, Schedule, calibrate

Plant = Callable[[pytest.MonkeyPatch], None]


def made(clip_norm: float = 1.0) -> PrivacyPlan:
    """Five rounds of four trees, ε 4."""
    shape: dict[str, Any] = {"rounds": 5, "local_steps": 4, "sampling_rate": 1.0}
    setup: dict[str, Any] = {"setup_share": 0.1, "setup_columns": 3, "setup_categories": 1}
    return calibrate(4.0, 1e-5, **shape, **setup, clip_norm=clip_norm)


plan_of = lru_cache(made)


def claimed(plan: PrivacyPlan | None = None, depth: int = 3) -> Claim:
    """Three owners, each charged what the plan says."""
    plan = plan or plan_of()
    return Claim(
        run_id="0" * 32,
        version="credit-loans 1",
        plan=plan,
        epsilon=plan.spent(),
        records=(70.0, 140.7, 210.0),
        codes=20,
        model="trees",
        hidden=8,
        depth=depth,
        charged=dict.fromkeys(("loans/North", "loans/South", "loans/West"), plan.events()),
    )


def failed(found: Audit) -> set[str]:
    return {check.name for check in found.checks if not check.passed}


def halved_noise(patch: pytest.MonkeyPatch) -> None:
    """Every draw half as large as it should be."""
    many = noise.gaussian
    patch.setattr(noise, "gaussian", lambda shape, sigma: many(shape, sigma / 2))


def noise_where_records_are(patch: pytest.MonkeyPatch) -> None:
    """Empty leaves leave their clients as they are, and so tell that they are empty."""
    real = leaves.released

    def released(sums: leaves.Floats, schedule: Schedule) -> leaves.Floats:
        return np.where(sums == 0.0, sums, real(sums, schedule))

    patch.setattr(boosting, "released", released)


def noise_of_one_client(patch: pytest.MonkeyPatch) -> None:
    """All clients add the same draws, which any two of them can take away from each other."""

    def released(sums: leaves.Floats, schedule: Schedule) -> leaves.Floats:
        return sums + noise.gaussian(sums.shape[1:], leaves.deviation(schedule))

    patch.setattr(boosting, "released", released)


def noise_of_one_tree(patch: pytest.MonkeyPatch) -> None:
    """All trees of a round share their noise."""

    def released(sums: leaves.Floats, schedule: Schedule) -> leaves.Floats:
        return sums + noise.gaussian(sums[:, :1].shape, leaves.deviation(schedule))

    patch.setattr(boosting, "released", released)


def bare_curvatures(patch: pytest.MonkeyPatch) -> None:
    """Gradients are noised, curvatures are not."""
    real = leaves.released

    def released(sums: leaves.Floats, schedule: Schedule) -> leaves.Floats:
        told = real(sums, schedule)
        told[..., 1] = sums[..., 1]
        return told

    patch.setattr(boosting, "released", released)


def missing_clip(patch: pytest.MonkeyPatch) -> None:
    """Pairs go into the sum as they are."""
    real, bare = leaves.pairs, Schedule(1, 1, 1.0)
    patch.setattr(boosting, "pairs", lambda log_odds, y, _: real(log_odds, y, bare))


def twice_in_a_tree(patch: pytest.MonkeyPatch) -> None:
    """A record adds its pair to a second leaf as well."""
    real = leaves.leaf_sums

    def leaf_sums(*said: Any) -> leaves.Floats:
        sums = real(*said)
        return sums + np.roll(sums, 1, axis=1)

    patch.setattr(boosting, "leaf_sums", leaf_sums)


def forgotten_round(patch: pytest.MonkeyPatch) -> None:
    """Owners are charged for one round less than is taken, and the noise is made for that."""

    def events(plan: PrivacyPlan) -> list[dict[str, Any]]:
        return [*plan.round_events(plan.rounds - 1), *plan.setup_events()]

    patch.setattr(PrivacyPlan, "events", events)


@pytest.mark.parametrize("clip_norm", [1.0, 0.4])
def test_a_good_run_passes_and_says_how_close_it_came(clip_norm: float) -> None:
    found = examine(claimed(plan_of(clip_norm)))
    assert failed(found) == set(), describe(found)
    told = found.to_json()["checks"]
    assert 0.0 <= told["canaries"]["epsilon_at_least"] < told["canaries"]["epsilon_told_for_all"]
    assert told["canaries"]["strength"] > 0.97
    assert told["canaries"]["canaries"] >= 1000
    assert told["noise"]["unused_columns"]["values"] > 20_000
    once = 3 * 20 * 8 * 2  # sums of leaves of trees of clients
    assert told["noise"]["every_weight"]["values"] == once * math.ceil(2**18 / once)
    assert told["count"]["noised"] == found.claim.plan.steps
    assert max(told["clip"]["moves"].values()) == pytest.approx(1.0, abs=1e-3)
    assert json.dumps(found.to_json())


@pytest.mark.parametrize(
    ("plant", "clip_norm", "expected"),
    [
        (halved_noise, 1.0, {"noise"}),
        (noise_where_records_are, 1.0, {"noise"}),
        (noise_of_one_client, 1.0, {"noise"}),
        (noise_of_one_tree, 1.0, {"noise"}),
        (bare_curvatures, 1.0, {"noise"}),
        (missing_clip, 0.4, {"clip"}),
        (missing_clip, 1.0, {"clip"}),
        (twice_in_a_tree, 1.0, {"clip"}),
        (forgotten_round, 1.0, {"count"}),
    ],
)
def test_each_planted_bug_fails_the_audit(
    plant: Plant, clip_norm: float, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    plan = made(clip_norm) if plant is forgotten_round else plan_of(clip_norm)
    assert failed(examine(claimed(plan))) >= expected


def test_noise_that_is_far_too_small_gives_the_canaries_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many = noise.gaussian
    monkeypatch.setattr(noise, "gaussian", lambda shape, sigma: many(shape, sigma / 5))
    assert failed(examine(claimed())) >= {"canaries", "noise"}


def test_a_round_that_nobody_was_charged_for_is_counted() -> None:
    claim = claimed()
    fewer = replace(claim.plan, rounds=claim.plan.rounds - 1)
    unpaid = replace(claim, charged=dict.fromkeys(claim.charged, fewer.events()))
    assert failed(examine(unpaid)) == {"count"}


def test_every_place_has_a_leaf_of_its_own_in_every_tree() -> None:
    splits, places = shuffled(16, 5), np.arange(16)[None]
    found = [splits.leaf(tree, places) for tree in range(5)]
    assert all(sorted(leaf) == list(range(16)) for leaf in found)
    assert len({tuple(leaf) for leaf in found}) == 5
