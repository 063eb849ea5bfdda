"""Rising curves over log-odds: they keep every order, and mend what is bent."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax

from domains.metrics import auroc, average_precision
from models.isotonic import LEAST_A_BIN, Curve, against_rest, fit_curve


def _bent(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of which the truth is a bent function: too low by 1, and too extreme above 0."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, count)
    truth = np.where(z > 0, 0.3 * z, z) + 1.0
    return z, (rng.random(count) < expit(truth)).astype(float)


def test_a_planted_bend_is_found() -> None:
    z, y = _bent(20_000)
    at = np.array([-3.0, -1.0, 1.0, 3.0])
    assert fit_curve(z, y)(at) == pytest.approx([-2.0, 0.0, 1.3, 1.9], abs=0.25)


@pytest.mark.parametrize("count", [30, 60, 700])
def test_the_order_of_records_never_changes(count: int) -> None:
    z, y = _bent(count, seed=1)
    curve = fit_curve(z, y)
    far = np.sort(np.r_[z, -50.0, 50.0])
    assert (np.diff(curve(far)) > 0).all()
    assert auroc(y, curve(z)) == auroc(y, z)
    assert average_precision(y, curve(z)) == average_precision(y, z)


def test_no_point_of_a_curve_is_one_record_s() -> None:
    z, y = _bent(700, seed=2)
    curve = fit_curve(z, y)
    assert len(curve.at) <= 700 // LEAST_A_BIN
    assert not set(curve.at) & set(z.tolist())


def test_outcomes_that_never_happen_stay_possible() -> None:
    z = np.random.default_rng(0).normal(size=300)
    assert np.isfinite(fit_curve(z, np.zeros(300))(z)).all()
    flat = fit_curve(np.zeros(100), np.r_[np.ones(50), np.zeros(50)])
    assert flat(np.zeros(1)) == pytest.approx([0.0], abs=1e-9)


def test_a_curve_is_read_back_as_it_was() -> None:
    curve = fit_curve(*_bent(500))
    assert Curve.from_json(curve.to_json()) == curve


def test_odds_against_the_rest_are_those_of_the_probabilities() -> None:
    logits = np.random.default_rng(3).normal(0, 2, (40, 3))
    p = np.exp(log_softmax(logits, axis=1))
    assert expit(against_rest(logits)) == pytest.approx(p)
