"""Noise from the operating system has the promised distribution.

The draws cannot be seeded, so each statistical test states how often it fails on correct code.
"""

import multiprocessing
import os

import numpy as np
import pytest
from scipy import stats

from privacy.noise import _PAIRS, add_gaussian, bernoulli, gaussian

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
    for lag in (1, _PAIRS, 2 * _PAIRS):
        score = np.mean(draws[:-lag] * draws[lag:]) * np.sqrt(len(draws) - lag)
        assert abs(score) < stats.norm.isf(RARELY / 6)


def test_the_two_of_a_pair_have_the_length_of_two_independent_normals() -> None:
    pairs = gaussian(8 * _PAIRS, 1.0).reshape(4, 2, _PAIRS)
    assert stats.kstest((pairs**2).sum(axis=1).ravel(), "chi2", args=(2,)).pvalue > RARELY
    angles = np.arctan2(pairs[:, 1], pairs[:, 0]).ravel() / (2 * np.pi) + 0.5
    assert stats.kstest(angles, "uniform").pvalue > RARELY


def test_large_draws_are_as_frequent_as_they_should_be() -> None:
    draws = np.abs(gaussian(4_000_000, 1.0))
    for bound in (3.0, 4.0, 5.0):
        count, chance = int((draws > bound).sum()), 2 * stats.norm.sf(bound)
        assert stats.binomtest(count, len(draws), chance).pvalue > RARELY


@pytest.mark.parametrize("size", [1, 777, 2 * _PAIRS + 1])
def test_noise_is_added_to_what_is_there_in_every_coordinate(size: int) -> None:
    repeats = 100
    drawn = np.empty((repeats, size))
    for row in drawn:
        values = np.full(size, 7.0, dtype=np.float32)
        add_gaussian(values, 2.0)
        row[:] = (values - 7.0) / 2.0
    low, high = stats.chi2.ppf([RARELY / size, 1 - RARELY / size], repeats)
    sums = (drawn**2).sum(axis=0)
    assert ((low < sums) & (sums < high)).all()
    assert stats.kstest(drawn[:10].ravel(), "norm").pvalue > RARELY


def test_no_noise_adds_nothing_and_an_impossible_sigma_is_refused() -> None:
    values = np.ones(5, dtype=np.float32)
    add_gaussian(values, 0.0)
    assert (values == 1.0).all()
    with pytest.raises(ValueError, match="sigma"):
        add_gaussian(values, -1.0)


def test_a_forked_worker_repeats_nothing() -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        drawn = [gaussian(64, 1.0), *pool.starmap(gaussian, [(64, 1.0)] * 4, chunksize=1)]
    assert len(np.unique(np.concatenate(drawn))) == 5 * 64


def test_every_call_has_a_key_and_a_counter_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    real = os.urandom

    def watched(count: int) -> bytes:
        taken.append(real(count))
        return taken[-1]

    monkeypatch.setattr(os, "urandom", watched)
    for _ in range(3):
        gaussian(3, 1.0)
        bernoulli(3, 0.5)
    assert [len(each) for each in taken] == [32, 16] * 6
    assert len(set(taken)) == 12


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
