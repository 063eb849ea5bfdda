"""Calibration finds the distortion that was put in."""

import numpy as np
import pytest
from scipy.special import expit, logit

from domains.errors import InputError
from domains.metrics import ece
from models.calibration import (
    calibration_line,
    fit_platt,
    fit_temperature,
    probabilities,
    reliability,
    shifted_intercept,
)

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


def test_the_line_of_true_probabilities_is_the_diagonal() -> None:
    rng = np.random.default_rng(4)  # false alarm below 1e-6: five standard errors
    p = rng.beta(2, 5, size=40_000)
    slope, intercept = calibration_line((rng.random(40_000) < p).astype(float), p)
    assert slope == pytest.approx(1, abs=0.1)
    assert intercept == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize(("stretch", "shift"), [(2.0, 0.0), (0.5, 0.0), (1.0, 0.7)])
def test_the_line_undoes_what_was_done_to_the_log_odds(stretch: float, shift: float) -> None:
    rng = np.random.default_rng(5)
    p = rng.beta(2, 3, size=5000)
    y = (rng.random(5000) < p).astype(float)
    straight = calibration_line(y, p)
    bent = calibration_line(y, expit(stretch * logit(p) - shift))
    assert bent[0] == pytest.approx(straight[0] / stretch, rel=1e-4)
    if stretch == 1:
        assert bent[1] == pytest.approx(straight[1] + shift, abs=1e-6)


def test_weights_of_the_line_are_copies() -> None:
    rng = np.random.default_rng(6)
    p, w = rng.random(500), rng.integers(0, 4, size=500)
    y = (rng.random(500) < p).astype(float)
    again = np.repeat(np.arange(500), w)
    assert calibration_line(y, p, w) == pytest.approx(calibration_line(y[again], p[again]))


def test_one_outcome_alone_has_no_line() -> None:
    assert np.isnan(calibration_line(np.zeros(9), np.full(9, 0.2))).all()


@pytest.mark.parametrize(("before", "after"), [(0.2, 0.4), (0.3, 0.05)])
def test_after_a_prior_shift_the_new_rate_alone_mends_the_intercept(
    before: float, after: float
) -> None:
    rng = np.random.default_rng(7)
    z = rng.normal(-1.4, 1, size=200_000)
    y = rng.random(len(z)) < expit(z)
    kept = rng.random(len(z)) < np.where(y, after / before, (1 - after) / (1 - before)) / 2
    old, new = float(y.mean()), float(y[kept].mean())
    moved = z[kept] + shifted_intercept(0.0, old, new)
    assert expit(moved).mean() == pytest.approx(new, abs=0.005)
    assert calibration_line(y[kept].astype(float), expit(moved))[0] == pytest.approx(1, abs=0.05)
    assert (np.argsort(moved) == np.argsort(z[kept])).all()


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        shifted_intercept(0.0, 0.2, rate)
