"""Trees are flat under loud noise, and deep where public numbers of records outweigh it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.trees.size import DEEP, FLAT, fitting
from privacy.plan import PrivacyPlan, Schedule, calibrate
from tests.models.trees.sample_trees import OPEN, private

TAIWAN = {"records": 21_000, "clients": 10, "features": 21}
"""Credit cards, 30,000 of which 70 % train, at ten clients."""
LOANS = {"records": 42_000, "clients": 20, "features": 13}
"""The SBA's at scale small."""


def plan(epsilon: float, setup: int) -> PrivacyPlan:
    """The default schedule of trees; so many columns are read from the records."""
    return calibrate(
        epsilon,
        1e-5,
        rounds=30,
        local_steps=20,
        sampling_rate=1.0,
        setup_share=0.3,
        setup_columns=setup,
        setup_categories=setup,
    )


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_few_records_and_many_features_get_flat_trees(epsilon: float) -> None:
    assert fitting(**TAIWAN, schedule=plan(epsilon, 21)) == FLAT


@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_more_records_and_fewer_features_get_deep_trees(epsilon: float) -> None:
    assert fitting(**LOANS, schedule=plan(epsilon, 0)) == DEEP


@pytest.mark.parametrize("numbers", [TAIWAN, LOANS])
def test_without_noise_trees_are_deep(numbers: dict[str, int]) -> None:
    assert (
        fitting(**numbers, schedule=OPEN) == fitting(**numbers, schedule=private(noise=0)) == DEEP
    )


@given(
    st.floats(1, 1e7),
    st.integers(1, 1000),
    st.integers(1, 200),
    st.floats(0.1, 1e4),
)
def test_more_records_or_less_noise_never_make_trees_flat(
    records: float, clients: int, features: int, noise: float
) -> None:
    def deep(*numbers: float, schedule: Schedule) -> bool:
        return fitting(numbers[0], int(numbers[1]), int(numbers[2]), schedule) == DEEP

    numbers = (records, clients, features)
    if deep(*numbers, schedule=private(noise=noise)):
        assert deep(2 * records, clients, features, schedule=private(noise=noise))
        assert deep(*numbers, schedule=private(noise=noise / 2))
        assert deep(records, max(1, clients // 2), features, schedule=private(noise=noise))
        assert deep(records, clients, max(1, features // 2), schedule=private(noise=noise))
