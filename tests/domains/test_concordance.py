"""The fast concordance is the plain one, for any weights and any ties."""

import numpy as np
import pytest

from domains.concordance import Concordance


def _by_definition(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    concordant = comparable = 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            if y[i, 1] and y[i, 0] < y[j, 0]:
                comparable += w[i] * w[j]
                concordant += w[i] * w[j] * ((p[i] > p[j]) + (p[i] == p[j]) / 2)
    return concordant / comparable


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("distinct", [3, 40, 1000])
def test_equals_the_definition_with_ties_and_weights(seed: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.c_[rng.integers(1, distinct, 60), rng.random(60) < 0.6].astype(float)
    p, w = rng.integers(0, distinct, 60) / distinct, rng.integers(0, 3, 60).astype(float)
    concordance = Concordance(y, p)
    assert concordance(w) == _by_definition(y, p, w)  # of whole weights no sum is rounded
    assert concordance() == _by_definition(y, p, np.ones(60))


def test_a_perfect_order_is_one_and_its_reverse_zero() -> None:
    y = np.c_[np.arange(1.0, 9.0), np.ones(8)]
    assert Concordance(y, -y[:, 0])() == 1.0
    assert Concordance(y, y[:, 0])() == 0.0


def test_without_comparable_pairs_there_is_no_number() -> None:
    censored = np.c_[np.arange(1.0, 5.0), np.zeros(4)]
    assert np.isnan(Concordance(censored, np.ones(4))())
    assert np.isnan(Concordance(np.empty((0, 2)), np.empty(0))())
