"""Who trains and who tests is fixed by the unit's id and a key, and by nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domains.errors import InputError
from domains.splits import assign, check_disjoint, partition, positions, split_key

PARTS = {"train": 0.7, "calibration": 0.1, "test": 0.2}
IDS = [f"patient {number}" for number in range(5000)]


def test_same_unit_always_falls_on_the_same_side() -> None:
    key = split_key(0, None)
    once = dict(zip(IDS, assign(IDS, PARTS, key), strict=True))
    shuffled = [*np.random.default_rng(0).permutation(IDS), "newcomer", *IDS[:10]]
    again = assign(shuffled, PARTS, key)
    assert all(part == once.get(unit, part) for unit, part in zip(shuffled, again, strict=True))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=50), st.integers(0, 99))
def test_equal_ids_are_never_torn_apart(ids: list[str], seed: int) -> None:
    parts = assign([*ids, *ids], PARTS, split_key(seed, None))
    assert list(parts[: len(ids)]) == list(parts[len(ids) :])


def test_shares_are_met_within_chance() -> None:
    parts = assign(IDS, PARTS, split_key(1, None))
    for name, share in PARTS.items():
        # Five standard errors: a false alarm in two million.
        error = 5 * np.sqrt(share * (1 - share) / len(IDS))
        assert abs(np.mean(parts == name) - share) < error


def test_seed_moves_the_public_split_and_never_the_private_one() -> None:
    assert not np.array_equal(
        assign(IDS, PARTS, split_key(0, None)), assign(IDS, PARTS, split_key(1, None))
    )
    assert split_key(0, b"secret") == split_key(1, b"secret") != split_key(0, b"another")


def test_positions_are_uniform() -> None:
    counts = np.histogram(positions(IDS, split_key(0, None)), bins=10, range=(0, 1))[0]
    expected = len(IDS) / 10
    # Chi-square with 9 degrees of freedom: above 33.7 once in ten thousand.
    assert ((counts - expected) ** 2 / expected).sum() < 33.7


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="add to 1"):
        assign(IDS, {"train": 0.5, "test": 0.4}, split_key(0, None))


def test_unit_on_two_sides_of_a_given_split_is_named() -> None:
    ids, parts = np.array(["a", "b", "a"]), np.array(["train", "train", "test"])
    with pytest.raises(InputError, match=r"manifest\.csv: 1 patient.*record 1, in test and train"):
        check_disjoint(ids, parts, "patient", "manifest.csv")
    check_disjoint(ids[:2], parts[:2], "patient", "manifest.csv")


def test_clients_are_disjoint_even_and_stable() -> None:
    labels, key = np.arange(len(IDS)) % 2, split_key(0, None)
    clients = partition(labels, IDS, count=10, by="iid", alpha=1.0, key=key)
    sizes = np.bincount(clients, minlength=10)
    assert sizes.sum() == len(IDS)
    assert sizes.min() > 400
    half = partition(labels[:100], IDS[:100], count=10, by="iid", alpha=1.0, key=key)
    assert np.array_equal(half, clients[:100])


def test_smaller_alpha_makes_clients_more_unequal() -> None:
    labels, key = np.arange(len(IDS)) % 2, split_key(0, None)

    def spread(alpha: float) -> float:
        clients = partition(labels, IDS, count=10, by="dirichlet", alpha=alpha, key=key)
        return float(np.std(np.bincount(clients, minlength=10)))

    assert spread(0.1) > spread(100.0)
