"""Flawless answers of few records: bounds are on the safe side, and nothing claims certainty."""

import numpy as np
import pytest
from scipy.stats import beta, norm

from domains.flawless import (
    UNKNOWN,
    disjoint_pairs,
    of_area,
    of_gap,
    of_ks,
    of_share,
    same_order,
    slack,
    unbounded,
)
from domains.metrics import Interval, auroc, bootstrap, gap, interval, paired_bootstrap, resamples

Y = np.repeat([0, 1], 4)
P = np.linspace(0.1, 0.9, 8)


@pytest.mark.parametrize("trials", [1, 5, 40, 1000])
def test_a_flawless_share_has_the_bound_of_clopper_and_pearson(trials: int) -> None:
    assert 1 - slack(trials) == pytest.approx(beta.ppf(0.025, trials, 1))


@pytest.mark.parametrize("pairs", [1, 2, 3, 5])
def test_a_net_at_the_bound_is_seldom_flawless(pairs: int) -> None:
    """What the interval leaves out is less likely than one in forty; six standard errors."""
    shift = np.sqrt(2) * norm.ppf(1 - slack(pairs))
    rng, times = np.random.default_rng(0), 40_000
    lacking, having = rng.normal(size=(times, pairs)), rng.normal(shift, size=(times, pairs))
    flawless = (having.min(axis=1) > lacking.max(axis=1)).mean()
    assert flawless <= 0.025 + 6 * np.sqrt(0.025 / times)


def test_eight_records_ranked_right_are_no_certainty() -> None:
    bounds = bootstrap(auroc, Y, P, slack=of_area(Y, P))
    assert (bounds.value, bounds.high) == (1.0, 1.0)
    assert bounds.low == pytest.approx(0.025**0.25)
    assert np.isnan(bootstrap(auroc, Y, P, slack=UNKNOWN).low)  # no bound is known: no interval
    assert bootstrap(auroc, 1 - Y, P, slack=of_area(1 - Y, P)) == Interval(0.0, 0.0, slack(4))


def test_flawless_answers_narrow_the_interval_the_more_records_there_are() -> None:
    lows = []
    for count in (5, 50, 500):
        y = np.repeat([0, 1], count)
        p = y + np.arange(2 * count) / 1e4
        found = bootstrap(auroc, y, p, slack=of_area(y, p))
        lows.append(found.low)
    assert lows == sorted(lows)
    assert 0.99 < lows[-1] < 1


def test_pairs_share_no_patient() -> None:
    patients = np.array([0, 0, 0, 1, 2, 2])
    assert disjoint_pairs(np.array([True, True, False, False, False, False]), patients) == 1
    assert disjoint_pairs(np.array([True, False, True, False, True, False]), np.arange(6)) == 3
    assert disjoint_pairs(np.array([True, False, True, False]), np.array([0, 0, 1, 1])) == 1


def test_a_rare_class_keeps_the_bound_low() -> None:
    """However well the others are known: a mean is no surer than its parts."""
    numbers = np.repeat([0, 1, 2], [20, 20, 2])
    right = np.eye(3)[numbers]
    mean = np.mean([slack(20), slack(20), slack(2)])
    assert of_area(numbers, right) == pytest.approx(mean)
    assert of_area(right, right) == pytest.approx(mean)
    blurred = right.copy()
    blurred[:40, :2] = np.random.default_rng(0).random((40, 2))  # two classes with flaws
    assert of_area(numbers, blurred) == pytest.approx(slack(2) / 3)
    sure = bootstrap(auroc, numbers, blurred, slack=of_area(numbers, blurred))
    plain = bootstrap(auroc, numbers, blurred)
    assert sure.low == pytest.approx(plain.low - slack(2) / 3)
    assert sure.high == plain.high


def test_flawed_answers_leave_nothing_more_open_than_resamples_show() -> None:
    worse = P[[0, 1, 2, 4, 3, 5, 6, 7]]
    assert of_area(Y, worse) == 0.0
    assert of_share(Y > 0, np.arange(8)) == 0.0
    assert of_share(Y >= 0, np.arange(8)) == slack(8)
    assert of_share(Y >= 0, np.zeros(8)) == slack(1)
    assert unbounded(0.99) == of_ks(0.0) == 0.0
    assert np.isnan(unbounded(1.0))


def test_one_patient_has_no_interval() -> None:
    y, p = np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    found = bootstrap(auroc, y, p, np.zeros(4))
    assert found.value == 0.75
    assert np.isnan(found.low)
    assert np.isnan(interval(0.75, np.full(9, 0.75), 0.0).high)


def test_two_flawless_models_may_differ_and_one_differs_not_from_itself() -> None:
    other = np.array([0.4, 0.3, 0.2, 0.1, 0.9, 0.8, 0.7, 0.6])
    assert not same_order(P, other)
    assert same_order(P, P**3)
    assert of_gap(Y, P, P**3) == 0.0
    found = paired_bootstrap(auroc, Y, P, other, slack=of_gap(Y, P, other))
    assert found.low == pytest.approx(-slack(4))
    assert found.high == pytest.approx(slack(4))
    assert paired_bootstrap(auroc, Y, P, P**3) == Interval(0.0, 0.0, 0.0)
    assert gap(0.01, np.linspace(0.001, 0.1, 99)).low < 0.001  # a difference may lie below zero


def test_resamples_do_not_depend_on_what_groups_are_called() -> None:
    groups = np.array(["b", "a", "c", "a", "b"])
    renamed = np.array([{"a": "z", "b": "y", "c": "x"}[name] for name in groups])
    for one, other in zip(resamples(5, groups, 20, 3), resamples(5, renamed, 20, 3), strict=True):
        np.testing.assert_array_equal(one, other)
