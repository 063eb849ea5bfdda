"""Federated averaging: what it equals, what it does not depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from models.credit import build
from models.federated import Client, FedAvg, run
from privacy import dpsgd
from privacy.plan import PrivacyPlan, Schedule

EVERY = Schedule(rounds=3, local_steps=2, sampling_rate=1.0)
NO_NOISE = PrivacyPlan(**vars(EVERY), epsilon=1.0, delta=1e-5, noise_multiplier=0.0, clip_norm=1e6)


def _clients() -> list[Client]:
    generator = torch.Generator().manual_seed(4)
    made = []
    for number, rows in enumerate((40, 25, 60)):
        x = torch.randn(rows, 5, generator=generator)
        y = (x[:, 0] + 0.5 * torch.randn(rows, generator=generator) > 0).float()
        made.append(Client(f"bank {number}", x, y, float(rows)))
    return made


def _trained(clients: list[Client], schedule: Schedule, momentum: float = 0.0) -> list[Tensor]:
    model = build(5, 4)
    torch.manual_seed(0)
    run(model, clients, schedule, FedAvg(0.3, momentum))
    return [p.detach().clone() for p in model.parameters()]


def _close(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(first, second, strict=True))


def test_no_noise_and_a_huge_clip_give_plain_federated_averaging() -> None:
    assert _close(_trained(_clients(), NO_NOISE), _trained(_clients(), EVERY))


def test_the_order_of_clients_changes_nothing() -> None:
    assert _close(_trained(_clients(), EVERY), _trained(_clients()[::-1], EVERY))


def test_one_client_is_central_training() -> None:
    client = _clients()[0]
    model = build(5, 4)
    for _ in range(EVERY.rounds):
        dpsgd.plain_update(
            model,
            client.features,
            client.target,
            plan=EVERY,
            expected_batch=client.records,
            learning_rate=0.3,
        )
    assert _close(_trained([client], EVERY), list(model.parameters()))


def test_the_average_weighs_clients_by_their_public_numbers_of_records() -> None:
    folded = FedAvg(1.0).fold([torch.zeros(1)], [[torch.ones(1)], [torch.zeros(1)]], [0.75, 0.25])
    assert folded[0].item() == pytest.approx(0.75)


def test_momentum_carries_the_averaged_step_on() -> None:
    strategy = FedAvg(1.0, momentum=0.5)
    state = strategy.fold([torch.zeros(1)], [[torch.ones(1)]], [1.0])
    state = strategy.fold(state, [[torch.zeros(1)]], [1.0])
    assert state[0].item() == pytest.approx(1.5)


def test_a_run_without_privacy_repeats_bit_by_bit() -> None:
    sampled = replace(EVERY, sampling_rate=0.5)
    first, second = _trained(_clients(), sampled), _trained(_clients(), sampled)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_seed_does_not_reach_the_noise_of_a_private_run() -> None:
    noised = replace(NO_NOISE, noise_multiplier=1.0, clip_norm=1.0)
    assert not _close(_trained(_clients(), noised), _trained(_clients(), noised))


def test_a_client_without_records_still_takes_part() -> None:
    empty = Client("empty", torch.zeros(0, 5), torch.zeros(0), 10.0)
    noised = replace(NO_NOISE, noise_multiplier=1.0, clip_norm=1.0)
    assert all(torch.isfinite(p).all() for p in _trained([*_clients(), empty], noised))


def test_history_tells_rounds_and_steps_and_nothing_measured_on_records() -> None:
    model: nn.Module = build(5, 4)
    told: list[int] = []
    rounds = run(model, _clients(), EVERY, FedAvg(0.3), told.append)
    assert told == [1, 2, 3]
    assert [set(point) for point in rounds.history] == [{"round", "step_length"}] * 3


def test_training_learns() -> None:
    model = build(5, 4)
    run(model, _clients(), replace(EVERY, rounds=20), FedAvg(0.5, 0.5))
    clients = _clients()
    right = [((model(c.features)[:, 0] > 0) == (c.target > 0)).float().mean() for c in clients]
    assert min(right) > 0.75
