"""Noise from the operating system has the promised distribution.

The draws cannot be seeded, so each statistical test states how often it fails on correct code.
"""

import numpy as np
import pytest
from scipy import stats

from privacy.noise import bernoulli, gaussian

RARELY = 1e-9  # false alarms a test


def test_gaussian_passes_kolmogorov_smirnov() -> None:
    draws = gaussian((200_000,), 3.0)
    assert stats.kstest(draws / 3.0, "norm").pvalue > RARELY


def test_gaussian_has_the_promised_variance_in_every_coordinate() -> None:
    draws = gaussian((2_000, 50), 0.7)
    low, high = stats.chi2.ppf([RARELY / 100, 1 - RARELY / 100], 2_000)
    sums = (draws**2).sum(axis=0) / 0.7**2
    assert ((low < sums) & (sums < high)).all()


def test_neighbouring_draws_are_uncorrelated_and_so_are_the_two_of_a_pair() -> None:
    draws = gaussian(400_000, 1.0)
    for lag in (1, 1 << 14, 1 << 15):
        score = np.mean(draws[:-lag] * draws[lag:]) * np.sqrt(len(draws) - lag)
        assert abs(score) < stats.norm.isf(RARELY / 6)


def test_two_draws_differ_and_a_numpy_seed_changes_nothing() -> None:
    np.random.seed(0)
    first = gaussian(64, 1.0)
    np.random.seed(0)
    assert not np.isin(gaussian(64, 1.0), first).any()


@pytest.mark.parametrize("shape", [0, 1, 5, (3, 4, 2), (1 << 15) + 1])
def test_shapes_are_kept_and_sigma_zero_is_silent(shape: int | tuple[int, ...]) -> None:
    assert gaussian(shape, 1.0).shape == np.zeros(shape).shape
    assert not gaussian(shape, 0.0).any()


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_an_impossible_sigma_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma"):
        gaussian(3, sigma)


@pytest.mark.parametrize("probability", [0.01, 0.5, 0.93])
def test_bernoulli_takes_the_promised_share(probability: float) -> None:
    taken = int(bernoulli(200_000, probability).sum())
    assert stats.binomtest(taken, 200_000, probability).pvalue > RARELY


def test_bernoulli_is_exact_at_its_ends() -> None:
    assert not bernoulli(10_000, 0.0).any()
    assert bernoulli(10_000, 1.0).all()
    with pytest.raises(ValueError, match="probability"):
        bernoulli(3, 1.5)
