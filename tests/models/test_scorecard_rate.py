"""A scorecard's steps: as long as public numbers allow, whatever the records say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from models.federated import Client, Terms
from models.scorecard_rate import LOUD, QUIET, fitting_rate
from privacy.plan import PrivacyPlan, Schedule

OPEN = Schedule(50, 1, 1.0)
LOUDLY = PrivacyPlan(50, 1, 1.0, 1.0, 1e-5, 28.0, 2.5)
BETA = 0.8


def banks(sizes: Sequence[float]) -> list[Client]:
    return [Client(f"bank {n}", torch.zeros(0, 2), torch.zeros(0), s) for n, s in enumerate(sizes)]


def test_without_noise_steps_are_long() -> None:
    assert fitting_rate(banks([10.0]), OPEN, BETA) == QUIET
    assert fitting_rate(banks([10.0]), replace(LOUDLY, noise_multiplier=0.0), BETA) == QUIET


def test_it_is_the_rule_by_hand() -> None:
    """Ten clients of 2,100 records: 28 · 2.5 / 21,000 · √10 a step, √50 less for them all."""
    deviation = 28.0 * 2.5 / 21_000 * 10**0.5 / 50**0.5
    expected = LOUD * (1 - BETA) / (50 * deviation)
    assert fitting_rate(banks([2100.0] * 10), LOUDLY, BETA) == pytest.approx(expected, rel=1e-5)
    assert 0.5 < expected < QUIET


def test_no_record_has_a_say() -> None:
    full = [
        replace(client, features=torch.randn(5, 2), target=torch.ones(5))
        for client in banks([2100.0] * 10)
    ]
    assert fitting_rate(full, LOUDLY, BETA) == fitting_rate(banks([2100.0] * 10), LOUDLY, BETA)


def test_twice_the_noise_is_half_the_step_and_twice_the_records_twice_of_it() -> None:
    small = fitting_rate(banks([500.0] * 4), LOUDLY, BETA)
    louder = fitting_rate(banks([500.0] * 4), replace(LOUDLY, noise_multiplier=56.0), BETA)
    larger = fitting_rate(banks([1000.0] * 4), LOUDLY, BETA)
    assert 2 * louder == pytest.approx(small) == pytest.approx(larger / 2)
    assert larger < QUIET


def test_the_same_steps_in_fewer_rounds_are_as_long() -> None:
    clients = banks([500.0, 700.0])
    once = fitting_rate(clients, LOUDLY, BETA)
    several = fitting_rate(clients, replace(LOUDLY, rounds=10, local_steps=5), BETA)
    assert several == pytest.approx(once, rel=1e-5)


def test_where_half_of_the_clients_are_drawn_noise_is_louder() -> None:
    clients = banks([500.0] * 4)
    whole, half = (fitting_rate(clients, LOUDLY, BETA, Terms(participation=p)) for p in (1, 0.5))
    assert half == pytest.approx(whole / 2**0.5)


def test_a_small_client_that_counts_like_a_large_one_is_loud() -> None:
    clients = banks([5000.0, 50.0])
    by_size = fitting_rate(clients, LOUDLY, BETA)
    assert fitting_rate(clients, LOUDLY, BETA, Terms("equal")) < by_size / 10
