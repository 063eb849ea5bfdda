"""A head is penalised regression on fixed features, its penalty chosen on validation."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from models.imaging.head import fit_head


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_is_logistic_regression_with_the_chosen_penalty(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    values = (rng.normal(size=(300, 20)) + labels[:, None] * rng.normal(size=20)) * 7 + 3
    train, validation = np.arange(200), np.arange(200, 300)
    head = fit_head(values.astype(np.float32), labels, train, validation, classes)
    scaled = (values - values[train].mean(axis=0)) / values[train].std(axis=0)
    peer = LogisticRegression(C=1 / (head.penalty * len(train)), max_iter=1000)
    peer.fit(scaled[train], labels[train])
    ours = head.logits(values)
    p = np.exp(ours - ours.max(axis=1, keepdims=True))
    # two classes have two columns here and one in the peer: half the penalty on twice the weights
    tolerance = 0.02 if classes > 2 else 0.12
    assert np.abs(p / p.sum(axis=1, keepdims=True) - peer.predict_proba(scaled)).max() < tolerance


def test_a_constant_feature_does_no_harm() -> None:
    values = np.c_[np.ones(60), np.arange(60) % 2].astype(np.float32)
    rows = np.arange(60)
    head = fit_head(values, rows % 2, rows[:40], rows[40:], 2)
    assert np.isfinite(head.weight).all()
    assert (head.logits(values).argmax(axis=1) == rows % 2).all()


def test_a_feature_that_hardly_varied_in_training_does_not_run_away_with_a_new_image() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 90)
    values = rng.normal(size=(90, 10)) + labels[:, None] * rng.normal(size=10)
    values = np.c_[values, 1e-4 * rng.normal(size=90)].astype(np.float32)
    head = fit_head(values, labels, np.arange(60), np.arange(60, 90), 2)
    on = values.copy()
    on[:, -1] = 1.0
    assert np.abs(head.logits(on) - head.logits(values)).max() < 0.5


def _labels(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (count, 3))
    values = rng.normal(size=(count, 12)) + labels @ rng.normal(size=(3, 12))
    return values.astype(np.float32), labels


def test_several_labels_are_each_a_logistic_regression_of_its_own() -> None:
    values, labels = _labels()
    train, validation = np.arange(200), np.arange(200, 300)
    head = fit_head(values, labels, train, validation, 3)
    scaled = (values - values[train].mean(axis=0)) / values[train].std(axis=0)
    # the loss is a mean over labels too, and the penalty is not
    peer = LogisticRegression(C=1 / (3 * head.penalty * len(train)), max_iter=1000)
    for label in range(3):
        peer.fit(scaled[train], labels[train, label])
        ours = 1 / (1 + np.exp(-head.logits(values)[:, label]))
        assert np.abs(ours - peer.predict_proba(scaled)[:, 1]).max() < 0.02


def test_real_values_are_ridge_regression_of_standardised_ones() -> None:
    values, labels = _labels()
    targets = (values @ np.ones((12, 2)) * [1, 50] + labels[:, :2]).astype(np.float32)
    train, validation = np.arange(200), np.arange(200, 300)
    head = fit_head(values, targets, train, validation, 2)
    scaled = (values - values[train].mean(axis=0)) / values[train].std(axis=0)
    z = (targets - targets[train].mean(axis=0)) / targets[train].std(axis=0)
    # a mean over records and targets against a sum over records
    peer = Ridge(alpha=0.5 * head.penalty * len(train) * 2).fit(scaled[train], z[train])
    assert np.abs(head.logits(values) - peer.predict(scaled)).max() < 0.05
