"""Net benefit: what must be true of it whatever the data are."""

from __future__ import annotations

import numpy as np
import pytest

from domains.benefit import benefit_curve, net_benefit, thresholds_for

AT = [0.05, 0.2, 0.5, 0.9]


def _records(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, 3000)
    return (rng.random(3000) < p).astype(int), p


@pytest.mark.parametrize("threshold", AT)
def test_knowing_the_future_is_worth_the_prevalence(threshold: float) -> None:
    y, _ = _records()
    assert net_benefit(y, y.astype(float), threshold) == pytest.approx(y.mean())


@pytest.mark.parametrize("threshold", AT)
def test_acting_on_no_one_is_worth_nothing_and_on_all_what_the_formula_says(
    threshold: float,
) -> None:
    y, _ = _records()
    assert net_benefit(y, np.zeros(len(y)), threshold) == 0.0
    everyone = (y.mean() - threshold) / (1 - threshold)
    assert net_benefit(y, np.ones(len(y)), threshold) == pytest.approx(everyone)


def test_true_probabilities_are_worth_more_than_either_at_every_threshold() -> None:
    """By 3,000 records; the gain is many standard errors at each of these thresholds."""
    y, p = _records()
    for threshold in (0.1, 0.2, 0.3, 0.4):
        best = max(net_benefit(y, np.ones(len(y)), threshold), 0.0)
        assert net_benefit(y, p, threshold) > best


def test_probabilities_that_are_too_high_cost_benefit_without_changing_any_order() -> None:
    y, p = _records()
    assert net_benefit(y, p**0.25, 0.3) < net_benefit(y, p, 0.3) - 0.02


def test_a_weight_of_two_is_a_record_twice() -> None:
    y, p = _records()
    weight = np.r_[np.full(1000, 2.0), np.ones(2000)]
    twice = net_benefit(np.r_[y[:1000], y], np.r_[p[:1000], p], 0.2)
    assert net_benefit(y, p, 0.2, weight) == pytest.approx(twice)


def test_curves_go_to_four_times_the_prevalence_and_never_reach_certainty() -> None:
    assert thresholds_for(0.05)[-1] == pytest.approx(0.2)
    assert thresholds_for(0.6)[-1] == pytest.approx(0.95)
    y, p = _records()
    at = thresholds_for(float(y.mean()))
    assert benefit_curve(y, p, at)[0] == pytest.approx(net_benefit(y, p, float(at[0])))
