"""Calibration finds the distortion that was put in."""

import numpy as np
import pytest
from scipy.special import expit

from domains.metrics import ece
from models.calibration import fit_platt, fit_temperature, probabilities, reliability

RNG = np.random.default_rng(0)
Z = RNG.normal(0, 1.5, 20_000)
Y = (RNG.random(20_000) < expit(Z)).astype(int)


def test_temperature_of_overconfident_logits_is_found() -> None:
    assert fit_temperature(3 * Z, Y) == pytest.approx(3.0, rel=0.1)
    assert ece(Y, probabilities(3 * Z, fit_temperature(3 * Z, Y))) < ece(Y, expit(3 * Z)) / 3


def test_temperature_never_changes_which_class_is_first() -> None:
    logits = RNG.normal(size=(500, 4)) * 3
    y = RNG.integers(0, 4, 500)
    after = probabilities(logits, fit_temperature(logits, y))
    assert np.array_equal(after.argmax(1), logits.argmax(1))
    assert np.allclose(after.sum(1), 1)


def test_platt_finds_slope_and_shift() -> None:
    slope, intercept = fit_platt((Z - 1) / 2, Y)
    assert slope == pytest.approx(2, rel=0.1)
    assert intercept == pytest.approx(1, abs=0.1)


def test_one_class_leaves_probabilities_as_they_are() -> None:
    assert fit_temperature(Z, np.zeros(len(Z))) == 1.0
    assert fit_platt(Z, np.zeros(len(Z))) == (1.0, 0.0)


def test_separable_sample_stays_finite() -> None:
    slope, intercept = fit_platt(np.array([-1.0, -2.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    assert np.isfinite([slope, intercept]).all()


def test_reliability_points_hold_every_record_once() -> None:
    points = reliability(Y[:103], expit(Z[:103]))
    assert sum(point["records"] for point in points) == 103
