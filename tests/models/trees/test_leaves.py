"""What leaves a client: bounded, noised in every leaf, and folded into Newton's values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.federated import Client
from models.federated.clients import in_order
from models.trees.boosting import _Records, _released
from models.trees.leaves import CURVATURE, leaf_sums, newton, pairs
from privacy.plan import Schedule
from tests.models.trees.sample_trees import HOW, OPEN, banks, empty, private, sapling

FALSE_ALARM = 1e-7
_ODDS = st.floats(-800, 800)


def test_no_record_adds_a_pair_longer_than_one_with_curvature_free_of_charge() -> None:
    log_odds = np.concatenate([np.linspace(-40, 40, 400_001), [-1e300, 1e300, -800, 800]])
    for y in (0.0, 1.0):
        made = pairs(log_odds, np.full(len(log_odds), y), OPEN)
        assert np.hypot(*made).max() <= 1.0 + 1e-12
    bound = (11 + 5 * math.sqrt(5)) / 2
    assert CURVATURE**2 <= bound < (CURVATURE + 0.001) ** 2


@given(_ODDS, st.sampled_from([0.0, 1.0]), st.floats(1e-3, 2.0))
def test_sensitivity_holds_for_adversarial_records(odds: float, y: float, clip: float) -> None:
    made = pairs(np.array([odds]), np.array([y]), private(clip_norm=clip))
    assert np.hypot(*made)[0] <= min(clip, 1.0) * (1 + 1e-12)


def test_a_record_more_changes_each_tree_by_the_clip_norm_at_most() -> None:
    plan = private(noise=0.0, clip_norm=0.3)
    bank, odds = banks([200])[0], np.full(200, 30.0)  # sure of default, of which it is wrong
    fewer = Client(bank.name, bank.features[:-1], bank.target[:-1] * 0, bank.records)
    more = Client(bank.name, bank.features, bank.target * 0, bank.records)
    told = []
    for client in (fewer, more):
        records = _Records([client], sapling())
        records.log_odds = odds[: len(records.y)]
        told.append(_released(records, range(4), plan, (1, 8), {})[0])
    change = np.sqrt(((told[1] - told[0]) ** 2).sum(axis=(1, 2)))
    assert change == pytest.approx(0.3)


def test_clipping_keeps_the_direction_of_a_pair() -> None:
    odds, y = np.linspace(-5, 5, 50), np.zeros(50)
    whole, cut = pairs(odds, y, OPEN), pairs(odds, y, private(clip_norm=0.2))
    assert np.arctan2(*whole) == pytest.approx(np.arctan2(*cut))


def test_noise_has_the_promised_deviation_in_every_leaf_empty_ones_included() -> None:
    plan, clients, trees = private(noise=3.0, clip_norm=0.7), 5, 400
    nobody = [empty(each) for each in banks([1] * clients)]
    schedule = replace(plan, rounds=1, local_steps=trees)
    told = _released(_Records(nobody, sapling(schedule)), range(trees), schedule, (clients, 8), {})
    draws = clients * trees
    for leaf in range(8):
        for part in range(2):
            chi = (told[:, :, leaf, part] ** 2).sum() / (3.0 * 0.7) ** 2
            low, high = stats.chi2.ppf([FALSE_ALARM / 32, 1 - FALSE_ALARM / 32], draws)
            assert low < chi < high
    flat = told.reshape(clients, -1)
    alike = np.corrcoef(flat) - np.eye(clients)
    assert abs(alike).max() < 6 / math.sqrt(flat.shape[1])  # every client draws its own


def test_noise_is_the_same_where_records_are() -> None:
    plan, model = private(noise=2.0), sapling()
    records = _Records(in_order(banks()), model)
    exact = _released(records, range(4), OPEN, (3, 8), {})
    apart = [_released(records, range(4), plan, (3, 8), {}) - exact for _ in range(40)]
    chi = (np.stack(apart) ** 2).sum() / 4.0
    low, high = stats.chi2.ppf([FALSE_ALARM / 2, 1 - FALSE_ALARM / 2], np.stack(apart).size)
    assert low < chi < high


def test_leaf_sums_are_sums_over_the_records_of_a_client_in_a_leaf() -> None:
    records = _Records(in_order(banks()), sapling())
    leaf, added = records.leaf(0), pairs(records.log_odds + 0.3, records.y, OPEN)
    found = leaf_sums(leaf, records.client, added, (3, 8))
    for client in range(3):
        for number in range(8):
            inside = (records.client == client) & (leaf == number)
            assert found[client, number] == pytest.approx(added[:, inside].sum(axis=1))


def test_without_noise_a_leaf_is_newtons() -> None:
    sums = np.array([[4.0, 3.0 * CURVATURE], [-2.0, 0.5 * CURVATURE], [0.0, 0.0]])
    assert newton(sums, 3, 2.0, OPEN) == pytest.approx([-4 / 5, 2 / 2.5, 0.0])


def test_a_leaf_that_noise_drowns_says_next_to_nothing() -> None:
    sums = np.array([[50.0, 2.0 * CURVATURE]])
    quiet, loud = newton(sums, 10, 1.0, OPEN), newton(sums, 10, 1.0, private(noise=50.0))
    assert quiet[0] == pytest.approx(-50 / 3)
    assert abs(loud[0]) < 0.1


def test_under_noise_a_leaf_is_the_mean_of_the_value_given_what_was_told() -> None:
    """Values from N(0, 1/λ), gradients −H·value + N(0, H + V): least squares on them by seed."""
    draws, ridge, curvature, plan = np.random.default_rng(0), 4.0, 60.0, private(noise=3.0)
    value = draws.normal(0, ridge**-0.5, 200_000)
    spread = math.sqrt(curvature + 9.0 * 2)
    gradient = -curvature * value + draws.normal(0, spread, len(value))
    sums = np.stack([gradient, np.full(len(value), curvature * CURVATURE)], axis=-1)
    guess = newton(sums, 2, ridge, plan)
    assert float(guess @ value / (guess @ guess)) == pytest.approx(1.0, abs=0.01)


def test_without_privacy_nothing_is_clipped_or_noised() -> None:
    records = _Records(in_order(banks()), sapling())
    first, second = (_released(records, range(4), OPEN, (3, 8), {}) for _ in range(2))
    assert np.array_equal(first, second)
    assert isinstance(OPEN, Schedule)
    assert HOW.weight(1) == HOW.learning_rate
