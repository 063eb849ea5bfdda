"""Noise as planned passes, every other noise does not, however it is hidden.

Noise here is drawn with fixed seeds; a passing test could fail by chance once in a million.
"""

from __future__ import annotations

import numpy as np
import pytest

from privacy.noise_found import NoiseFound, NoiseTally

STEPS, CLIENTS, COORDINATES = 30, 6, 50


def planned(seed: int = 1) -> np.ndarray:
    shape = (STEPS, CLIENTS, COORDINATES)
    return np.random.default_rng(seed).normal(size=shape)


def judged(values: np.ndarray) -> NoiseFound:
    tally = NoiseTally()
    for step in values:
        tally.add(step)
    return tally.found()


@pytest.mark.parametrize("seed", range(20))
def test_noise_as_planned_passes(seed: int) -> None:
    found = judged(planned(seed))
    assert found.passed
    assert found.values == STEPS * CLIENTS * COORDINATES
    assert found.low < 1.0 < found.high


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9, 1.1, 2.0])
def test_noise_of_another_size_does_not(factor: float) -> None:
    found = judged(factor * planned())
    assert not found.passed
    assert found.ratio == pytest.approx(factor, rel=0.03)


def test_a_step_without_noise_is_seen_among_many() -> None:
    values = planned()
    values[17] = 0.0
    found = judged(values)
    assert not found.passed
    assert found.least_chance["by step"] < 1e-12


def test_a_client_without_noise_is_seen() -> None:
    values = planned()
    values[:, 2] = 0.0
    assert not judged(values).passed


def test_a_coordinate_without_noise_is_seen() -> None:
    values = planned()
    values[:, :, 44] = 0.0
    found = judged(values)
    assert found.least_chance["by coordinate"] < 1e-12
    assert not found.passed


def test_one_coordinate_of_one_client_without_noise_is_seen() -> None:
    values = planned()
    values[:, 3, 12] = 0.0
    found = judged(values)
    assert found.least_chance["by both"] < 1e-12
    assert not found.passed


def test_noise_that_is_shared_by_all_clients_is_seen() -> None:
    values = planned()
    values[:] = values[:, :1]
    assert not judged(values).passed


def test_noise_that_is_used_again_every_step_is_seen() -> None:
    values = planned()
    values[:] = values[:1]
    assert not judged(values).passed


def test_noise_that_a_later_step_takes_back_is_seen() -> None:
    values = planned()
    values[1::2] = -values[::2]
    found = judged(values)
    assert found.least_chance["added up"] < 1e-12
    assert not found.passed


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_fails(bad: float) -> None:
    values = planned()
    values[3, 1, 7] = bad
    assert not judged(values).passed


def test_no_value_at_all_proves_nothing() -> None:
    assert not NoiseTally().found().passed
