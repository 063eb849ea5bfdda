"""Metrics that are sorted once say under every weighting what they say of repeated records."""

import numpy as np
import pytest

from domains.metrics import METRICS, prepared

RNG = np.random.default_rng(0)
P = RNG.integers(1, 20, 300) / 20  # ties
Y = (RNG.random(300) < P).astype(float)
CLASSES = RNG.integers(0, 3, 300)
TIMES = np.column_stack([RNG.integers(1, 30, 300), Y]).astype(float)
CASES = {
    "auroc": (Y, P),
    "average_precision": (Y, P),
    "cindex": (TIMES, P),
    "ordering": (CLASSES.astype(float), P),
    "r2": (P + Y, P),
    "ece": (Y, P),
}


@pytest.mark.parametrize("name", CASES)
def test_a_weight_is_so_many_copies_of_a_record(name: str) -> None:
    y, p = CASES[name]
    metric = prepared(name, y, p)
    for seed in range(5):
        copies = np.random.default_rng(seed).integers(0, 4, 300)
        rows = np.repeat(np.arange(300), copies)
        assert metric(copies) == pytest.approx(METRICS[name](y[rows], p[rows]), abs=1e-12)
        assert metric(copies) == METRICS[name](y, p, copies)
    assert metric(None) == METRICS[name](y, p)


def test_several_classes_are_each_ranked_against_the_rest() -> None:
    p = RNG.dirichlet(np.ones(3), 300)
    metric = prepared("auroc", CLASSES, p)
    each = [METRICS["auroc"](k == CLASSES, p[:, k]) for k in range(3)]
    assert metric(None) == pytest.approx(np.mean(each))
    without = np.where(CLASSES == 2, 0, 1)
    rows = without == 1
    left = [METRICS["auroc"](CLASSES[rows] == k, p[rows, k]) for k in range(2)]
    assert metric(without) == pytest.approx(np.mean(left))


def test_nothing_is_said_where_one_class_carries_all_weight() -> None:
    assert np.isnan(prepared("auroc", Y, P)(1 - Y))
    assert np.isnan(prepared("average_precision", Y, P)(1 - Y))
