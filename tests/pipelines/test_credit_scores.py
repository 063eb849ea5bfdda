"""Numbers of the credit flow: many resamples at once give what one metric at a time gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from domains.metrics import auroc, ece, ks
from pipelines.steps.credit.scores import (
    Tested,
    aurocs,
    difference,
    difference_inside,
    errors,
    kolmogorovs,
    lenders,
    metrics_of,
)


@pytest.fixture
def tested() -> Tested:
    rng = np.random.default_rng(5)
    n = 600
    y = (rng.random(n) < 0.3).astype(float)
    good = np.clip(0.3 + 0.2 * y + rng.normal(0, 0.15, n), 0, 1).round(2)  # with ties
    client = np.r_[np.zeros(300, int), np.ones(280, int), np.full(20, 2)]
    scores = {"federated": good, "alone": rng.random(n)}
    return Tested(y, client, rng.integers(500, size=n), ("a", "b", "c"), scores)


@pytest.mark.parametrize(("fast", "one"), [(aurocs, auroc), (kolmogorovs, ks), (errors, ece)])
def test_all_resamples_at_once_equal_the_metric_on_each(
    tested: Tested, fast: Any, one: Any
) -> None:
    p = tested.scores["federated"]
    expected = [one(tested.y, p, row) for row in tested.weights[:20]]
    assert fast(tested.weights[:20], tested.y, p) == pytest.approx(expected, abs=1e-9)


def test_resamples_keep_a_borrower_together(tested: Tested) -> None:
    for row in tested.weights[1:10]:
        per_borrower = {(g, w) for g, w in zip(tested.group, row, strict=True)}
        assert len(per_borrower) == len(np.unique(tested.group))


def test_the_first_row_is_the_sample_itself(tested: Tested) -> None:
    metrics = metrics_of(tested, "federated")
    p = tested.scores["federated"]
    assert metrics["auroc"] == pytest.approx(auroc(tested.y, p))
    assert metrics["gini"] == pytest.approx(2 * metrics["auroc"] - 1)
    assert metrics["auroc_low"] < metrics["auroc"] < metrics["auroc_high"]


def test_a_client_with_too_few_records_has_no_auroc_and_no_say_in_the_mean(tested: Tested) -> None:
    told = lenders(tested, "federated")
    inside = [lender.auroc.value for lender in told if lender.auroc]
    assert [lender.auroc is None for lender in told] == [False, False, True]
    assert metrics_of(tested, "federated")["auroc_client_mean"] == pytest.approx(np.mean(inside))


def test_an_arm_does_not_differ_from_itself(tested: Tested) -> None:
    gap = difference(tested, "alone", "alone")
    assert (gap.value, gap.low, gap.high) == (0.0, 0.0, 0.0)
    inside = difference_inside(tested, "federated", "alone")
    assert inside is not None
    assert inside.low > 0
