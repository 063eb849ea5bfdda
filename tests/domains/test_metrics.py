"""Metrics agree with scikit-learn's, weights act as copies, intervals cover what they should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from domains import metrics
from domains.metrics import Interval, bootstrap, named, paired_bootstrap

RNG = np.random.default_rng(0)
Y = (RNG.random(400) < 0.3).astype(int)
P = np.clip(0.2 * Y + RNG.random(400) * 0.8, 0, 1).round(2)  # rounded: with ties
W = RNG.integers(0, 4, 400).astype(float)


def test_auroc_and_average_precision_agree_with_scikit_learn() -> None:
    for weight in (None, W):
        assert metrics.auroc(Y, P, weight) == pytest.approx(
            reference.roc_auc_score(Y, P, sample_weight=weight)
        )
        assert metrics.average_precision(Y, P, weight) == pytest.approx(
            reference.average_precision_score(Y, P, sample_weight=weight)
        )


def test_multiclass_auroc_is_the_macro_average_of_one_against_the_rest() -> None:
    y = RNG.integers(0, 3, 300)
    p = RNG.dirichlet(np.ones(3), 300) + np.eye(3)[y] * 0.3
    p /= p.sum(axis=1, keepdims=True)
    expected = reference.roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert metrics.auroc(y, p) == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(set(metrics.METRICS) - {"cindex", "r2"}))
def test_weights_act_as_copies(name: str) -> None:
    metric = metrics.METRICS[name]
    copies = np.repeat(np.arange(400), W.astype(int))
    assert metric(Y, P, W) == pytest.approx(metric(Y[copies], P[copies]))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_concordance_is_the_share_of_ordered_pairs(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 8, size), rng.integers(0, 2, size)
    risk = rng.integers(0, 5, size).astype(float)
    won = pairs = 0.0
    for i in range(size):
        for j in range(size):
            if event[i] and time[i] < time[j]:
                pairs += 1
                won += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    found = metrics.cindex(np.column_stack([time, event]), risk)
    assert np.isnan(found) if pairs == 0 else found == pytest.approx(won / pairs)


def test_r2_agrees_with_scikit_learn() -> None:
    y, p = RNG.normal(size=100), RNG.normal(size=100)
    assert metrics.r2(y, p, W[:100]) == pytest.approx(
        reference.r2_score(y, p, sample_weight=W[:100])
    )


def test_perfectly_calibrated_probabilities_have_almost_no_error() -> None:
    p = RNG.random(200_000)
    y = (RNG.random(200_000) < p).astype(int)
    assert metrics.ece(y, p) < 0.01
    assert metrics.ece(y, np.clip(p + 0.2, 0, 1)) > 0.1


@pytest.mark.filterwarnings("error")
def test_calibration_error_of_no_weight_is_undefined_without_a_warning() -> None:
    assert np.isnan(metrics.ece(np.array([0, 1]), np.array([0.2, 0.8]), np.zeros(2)))


def test_metrics_without_both_classes_are_not_a_number() -> None:
    for metric in (metrics.auroc, metrics.ks, metrics.gini):
        assert np.isnan(metric(np.zeros(10), np.arange(10.0)))


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    hits, rng = 0, np.random.default_rng(1)
    for trial in range(100):
        y = (rng.random(300) < 0.5).astype(int)
        p = rng.random(300)  # a useless score: the truth is one half
        interval = bootstrap(metrics.auroc, y, p, repeats=200, seed=trial)
        hits += interval.low <= 0.5 <= interval.high
    # Binomial(100, .95) is below 87 once in two thousand.
    assert hits >= 87


def test_resampling_patients_widens_the_interval_when_their_records_repeat() -> None:
    y, p = np.repeat(Y[:60], 5), np.repeat(P[:60], 5)
    patients = np.repeat(np.arange(60), 5)
    by_record, by_patient = bootstrap(metrics.auroc, y, p), bootstrap(metrics.auroc, y, p, patients)
    assert by_patient.high - by_patient.low > 1.5 * (by_record.high - by_record.low)


def test_paired_difference_of_a_model_with_itself_is_nothing() -> None:
    assert paired_bootstrap(metrics.auroc, Y, P, P) == Interval(0.0, 0.0, 0.0)


def test_same_seed_same_interval() -> None:
    assert bootstrap(metrics.auroc, Y, P, seed=3) == bootstrap(metrics.auroc, Y, P, seed=3)


def test_named_puts_the_interval_beside_the_value() -> None:
    assert named("auroc", Interval(0.7, 0.6, 0.8)) == {
        "auroc": 0.7,
        "auroc_low": 0.6,
        "auroc_high": 0.8,
    }


def test_interval_of_a_share_stays_between_zero_and_one() -> None:
    y = np.array([0, 0, 0, 1, 1, 1, 0, 1])
    found = bootstrap(metrics.auroc, y, np.array([1, 2, 3, 4, 5, 6, 4.5, 7]))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_interval_of_a_calibration_error_holds_its_value() -> None:
    p = np.clip(RNG.random(300), 0.02, 0.98)
    y = (RNG.random(300) < p).astype(int)
    found = bootstrap(metrics.ece, y, p)
    assert 0 <= found.low <= found.value <= found.high


def test_deviance_explained_is_scikit_learns_and_takes_weights_as_copies() -> None:
    rng = np.random.default_rng(0)
    p = np.exp(rng.normal(0, 0.7, 300))
    y, copies = rng.poisson(p).astype(float), rng.integers(0, 3, 300)
    assert metrics.d2(y, p) == pytest.approx(reference.d2_tweedie_score(y, p, power=1))
    repeated = metrics.d2(np.repeat(y, copies), np.repeat(p, copies))
    assert metrics.d2(y, p, copies) == pytest.approx(repeated)
    assert metrics.d2(y, np.full(300, y.mean())) == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(metrics.d2(np.zeros(3), np.ones(3)))


def test_ordering_of_two_levels_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 200), rng.integers(0, 9, 200) / 9
    weight = rng.integers(0, 3, 200)
    assert metrics.ordering(y, p) == pytest.approx(metrics.auroc(y, p))
    assert metrics.ordering(y, p, weight) == pytest.approx(metrics.auroc(y, p, weight))
    levels = rng.integers(0, 4, 200)
    assert metrics.ordering(levels, levels) == 1.0
    assert metrics.ordering(levels, -levels) == 0.0
