"""Federated averaging: what it equals, what it does not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from domains.errors import InputError
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
    weights = torch.tensor([0.75, 0.25])
    folded = FedAvg(1.0).fold([torch.zeros(1)], [torch.tensor([[1.0], [0.0]])], weights)
    assert folded[0].item() == pytest.approx(0.75)


def test_momentum_carries_the_averaged_step_on() -> None:
    strategy = FedAvg(1.0, momentum=0.5)
    state = strategy.fold([torch.zeros(1)], [torch.ones(1, 1)], torch.ones(1))
    state = strategy.fold(state, [torch.zeros(1, 1)], torch.ones(1))
    assert state[0].item() == pytest.approx(1.5)


@pytest.mark.parametrize(("share", "taken"), [(0.0, 1), (0.2, 1), (0.5, 3), (1.0, 5)])
def test_the_average_is_that_of_the_last_rounds_models(share: float, taken: int) -> None:
    schedule = replace(EVERY, rounds=5)
    models: list[list[Tensor]] = []

    class Watched(FedAvg):
        def fold(self, *said: Any) -> list[Tensor]:
            models.append(super().fold(*said))
            return models[-1]

    model = build(5, 4)
    run(model, _clients(), schedule, Watched(0.3, momentum=0.5, averaged=share))
    last = models[-taken:]
    expected = [torch.stack(same).mean(dim=0) for same in zip(*last, strict=True)]
    assert _close(list(model.parameters()), expected)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_an_impossible_share_of_rounds_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="averaged"):
        FedAvg(0.3, averaged=share)


def not_negative(state: list[Tensor]) -> list[Tensor]:
    return [part.clamp(min=0.0) for part in state]


def test_every_global_model_is_put_back_where_it_may_be() -> None:
    model = build(5, 4)
    run(model, _clients(), EVERY, FedAvg(0.3, averaged=0.5, project=not_negative))
    assert min(float(part.detach().min()) for part in model.parameters()) == 0.0
    assert "project=not_negative" in repr(FedAvg(0.3, project=not_negative))


def test_a_strategy_corrects_each_clients_steps_by_what_it_keeps_of_that_client() -> None:
    class Pulled(FedAvg):
        """Each client steps along a direction of its own, whatever its records say."""

        def correct(self, gradients: list[Tensor], *_: Any) -> list[Tensor]:
            own = torch.arange(float(len(gradients[0])))
            return [own.view(-1, *(1 for _ in g.shape[1:])).expand_as(g) for g in gradients]

        def fold(self, start: list[Tensor], updates: list[Tensor], _: Tensor) -> list[Tensor]:
            self.moved = [update.flatten(1)[:, 0].tolist() for update in updates]
            return start

    strategy = Pulled(0.5)
    run(build(5, 4), _clients(), replace(EVERY, rounds=1), strategy)
    assert strategy.moved == [pytest.approx([0.0, -1.0, -2.0], abs=1e-5)] * 4


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
    assert [set(point) for point in rounds.history] == [{"round", "step_length", "clients"}] * 3


def test_training_learns() -> None:
    model = build(5, 4)
    run(model, _clients(), replace(EVERY, rounds=20), FedAvg(0.5, 0.5))
    clients = _clients()
    right = [((model(c.features)[:, 0] > 0) == (c.target > 0)).float().mean() for c in clients]
    assert min(right) > 0.75
