"""The audit finds too little noise on the counts behind bins and value lists, and no threshold.

Randomness is the operating system's: counts as planned fail with a chance of 5e-7 at most.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipelines.auditing import checks
from pipelines.auditing.claim import Claim
from pipelines.auditing.setup import Counts, count_nobody, mixes
from privacy import noise, preprocessing, voting
from privacy.plan import PrivacyPlan

PLAN = PrivacyPlan(
    rounds=2,
    local_steps=1,
    sampling_rate=1.0,
    epsilon=3.0,
    delta=1e-5,
    noise_multiplier=4.0,
    clip_norm=1.0,
    setup_noise_multiplier=6.0,
    setup_columns=5,
    setup_delta=1e-6,
)
Draw = Callable[[int, float], np.ndarray]


def counted(plan: PrivacyPlan = PLAN, voted: bool = False) -> Counts:
    (found,) = count_nobody(plan, [voted])
    return found


def drawing(patch: pytest.MonkeyPatch, draw: Draw) -> None:
    """Noise for the setup's counts, and for nothing else."""
    patch.setattr(preprocessing, "noise", SimpleNamespace(gaussian=draw))


def claimed(plan: PrivacyPlan = PLAN) -> Claim:
    charged = {"loans/North": plan.events()}
    return Claim("0" * 32, "", plan, 3.0, (100.0,), 20, "scorecard", 8, charged)


@pytest.mark.parametrize(
    ("columns", "delta", "expected"),
    [(5, 1e-6, [(3, 2)]), (4, 0.0, [(4, 0)]), (1, 1e-6, [(1, 0), (0, 1)]), (24, 1e-6, [(12, 12)])],
)
def test_counts_as_planned_pass_whatever_the_columns_are(
    columns: int, delta: float, expected: list[tuple[int, int]]
) -> None:
    plan = replace(PLAN, setup_columns=columns, setup_delta=delta)
    assert mixes(plan) == expected
    for found in count_nobody(plan):
        assert found.passed
        assert found.low <= 1.0 <= found.high
        assert found.detectable < (0.03 if found.voted else 0.025)
        assert ("votes" in found.kinds) == found.voted
        for name, kind in found.kinds.items():
            assert kind.noise.values >= (2_000 if name == "votes" else 100_000)
        assert (found.threshold is None) == (found.lists == 0)


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.975])
def test_too_little_noise_is_seen_however_small_the_lack(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing(monkeypatch, lambda count, sigma: noise.gaussian(count, sigma * factor))
    found = counted()
    assert not found.passed
    assert found.high < 1.0
    assert found.ratio == pytest.approx(factor, abs=0.015)


def test_too_little_noise_on_votes_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vote spends a twentieth: a quarter of its noise costs what too little noise on all does."""
    quiet = SimpleNamespace(gaussian=lambda count, sigma: noise.gaussian(count, sigma / 4))
    monkeypatch.setattr(voting, "noise", quiet)
    assert counted().passed
    found = counted(voted=True)
    assert not found.passed
    assert found.ratio == pytest.approx((0.95 + 16 * 0.05) ** -0.5, rel=0.02)


def test_a_vote_whose_share_the_counts_spend_again_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preprocessing, "VOTE_SHARE", 0.0)
    assert not counted(voted=True).passed


def test_a_cell_without_noise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_but_one(count: int, sigma: float) -> np.ndarray:
        drawn = noise.gaussian(count, sigma)
        drawn[count // 3] = 0.0
        return drawn

    drawing(monkeypatch, all_but_one)
    found = counted()
    assert not found.passed
    assert not found.kinds["cells"].noise.passed


def test_noise_that_is_used_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = noise.gaussian(1 << 17, 1.0)
    drawing(monkeypatch, lambda count, sigma: fixed[:count] * sigma)
    assert not counted().passed


def test_a_record_that_counts_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    once = preprocessing._counted
    monkeypatch.setattr(preprocessing, "_counted", lambda column: 2.0 * once(column))
    found = counted()
    assert not found.passed
    assert found.kinds["cells"].moved == pytest.approx(2.0 * found.numbers**0.5)


def test_a_missing_threshold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocessing, "_threshold", lambda *_: -np.inf)
    found = counted()
    assert found.threshold is not None
    assert found.threshold.named == found.threshold.tried
    assert not found.passed
    assert found.ratio == pytest.approx(1.0, rel=0.02), "the noise is as planned"


@pytest.mark.parametrize("lower", [0.0, 0.9])
def test_a_threshold_that_lies_too_low_is_seen(
    lower: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = preprocessing._threshold

    def less(*given: Any) -> float:
        planned = whole(*given)
        return lower * planned if np.isfinite(planned) else planned

    monkeypatch.setattr(preprocessing, "_threshold", less)
    found = counted()
    assert not found.passed
    assert found.threshold is not None
    assert found.threshold.least < found.threshold.floor


def test_the_answer_says_what_was_counted_and_how_small_a_lack_would_show() -> None:
    check = checks.setup(claimed(), [counted()])
    assert check.passed
    assert "3 number(s) and 2 value list(s)" in check.said
    assert "would show" in check.said
    (mix,) = check.numbers["mixes"]
    assert {"ratio", "low", "high", "detectable", "kinds", "threshold"} <= set(mix)
    assert json.dumps(check.numbers, allow_nan=False)


def test_where_all_was_public_there_is_nothing_to_test_and_that_is_said() -> None:
    plan = replace(PLAN, setup_columns=0, setup_noise_multiplier=None, setup_delta=0.0)
    check = checks.setup(claimed(plan), [])
    assert check.passed
    assert check.said.startswith("nothing to test")
    assert check.numbers["tested"] is False


def test_columns_that_were_read_without_a_plan_for_it_fail() -> None:
    assert not checks.setup(claimed(replace(PLAN, setup_noise_multiplier=None)), []).passed


@pytest.mark.parametrize("kept", [slice(0, 1), slice(0, 2), slice(2, 3)])
def test_counts_that_an_owner_was_not_charged_for_are_told(kept: slice) -> None:
    events: list[dict[str, Any]] = PLAN.events()
    whole, part = claimed(), replace(claimed(), charged={"loans/North": events[kept]})
    assert checks._setup_charged(whole, events)
    assert not checks._setup_charged(part, events[kept])


def test_a_charge_for_more_noise_than_there_was_is_told() -> None:
    louder = replace(PLAN, setup_noise_multiplier=7.0).events()
    assert not checks._setup_charged(claimed(), louder)
