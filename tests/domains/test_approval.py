"""Decisions by a threshold: what it approves, shares by group, places within groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domains.banking.approval import ENOUGH, gap, levelled, rates, ratio, threshold

RNG = np.random.default_rng(3)
P = RNG.random(900).round(2)
Y = (RNG.random(900) < P).astype(float)
GROUP = RNG.integers(3, size=900)
ONES = np.ones((1, 900))


@example(scores=[0.010000000000000002, 0.01], rate=0.5)  # no float lies between them
@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_a_threshold_approves_the_rate_and_no_level_more(scores: list[float], rate: float) -> None:
    p = np.array(scores)
    approved = p <= threshold(p, rate)
    assert approved.mean() >= rate - 1e-9
    without_last = p < p[approved].max()
    assert without_last.mean() < rate


def test_no_rounding_of_a_score_moves_it_over_the_threshold() -> None:
    cut = threshold(P, 0.6)
    for moved in (P + 1e-9, P - 1e-9):
        assert ((moved <= cut) == (cut >= P)).all()


def test_shares_are_those_of_each_group_by_itself() -> None:
    yes = P < 0.5
    found = rates(ONES, Y, P, yes, GROUP)
    for k in range(3):
        mine = k == GROUP
        assert found.approved[0, k] == pytest.approx(yes[mine].mean())
        assert found.of_repaid[0, k] == pytest.approx(yes[mine & (Y == 0)].mean())
        assert found.of_defaulted[0, k] == pytest.approx(yes[mine & (Y == 1)].mean())
        assert found.bad[0, k] == pytest.approx(Y[mine & yes].mean())
        assert found.predicted[0, k] == pytest.approx((P - Y)[mine].mean())


def test_a_weight_counts_a_record_as_often_as_it_stands_there() -> None:
    weights = RNG.integers(0, 3, size=900)
    again = np.repeat(np.arange(900), weights)
    once = rates(weights[None].astype(float), Y, P, P < 0.5, GROUP)
    often = rates(np.ones((1, len(again))), Y[again], P[again], P[again] < 0.5, GROUP[again])
    assert once.bad == pytest.approx(often.bad)


def test_a_share_of_too_few_is_not_told_and_no_gap_counts_it() -> None:
    group = np.zeros(900, dtype=int)
    group[: ENOUGH - 1] = 1
    found = rates(ONES, Y, P, P < 0.5, group)
    assert np.isnan(found.approved[0, 1])
    assert np.isnan(gap(found.approved)).all()
    assert np.isnan(ratio(found.approved)).all()


def test_nobody_approved_anywhere_is_equal() -> None:
    assert ratio(np.zeros((1, 2))).tolist() == [1.0]
    assert gap(np.zeros((1, 2))).tolist() == [0.0]


def test_places_keep_every_groups_own_order() -> None:
    q = levelled(P, GROUP, P, GROUP)
    for k in range(3):
        mine = k == GROUP
        order = np.argsort(P[mine], kind="stable")
        assert (np.diff(q[mine][order]) >= 0).all()


def test_any_threshold_on_places_approves_groups_alike() -> None:
    p = np.where(GROUP == 0, P / 2, P)
    q = levelled(p, GROUP, p, GROUP)
    for cut in (0.2, 0.5, 0.8):
        shares = [(q[k == GROUP] <= cut).mean() for k in range(3)]
        assert max(shares) - min(shares) < 0.03
        before = [(p[k == GROUP] <= cut).mean() for k in range(3)]
        assert max(before) - min(before) > 0.1
