"""Those who take part in a step are computed, and nobody else: the same numbers as among all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.federated import Client, FedAvg, Terms, run, stacked
from models.federated.clients import in_order
from models.federated.stack import Stack, parameters
from models.federated.stacked import Stacked
from privacy import noise
from privacy.plan import Schedule
from tests.models.federated.sample_clients import SILENT, WIDTH, flat, net, sample_clients

MANY = (40, 3, 120, 1, 17, 0, 900, 33, 12)
FULL, SAMPLED = Schedule(1, 1, 1.0), Schedule(1, 1, 0.4)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def in_one_array(sizes: Sequence[int]) -> list[Client]:
    """The sample as slices of one array, in an order that is not the engine's."""
    clients = sample_clients(sizes)
    whole = torch.cat([client.features for client in clients])
    parts = whole.split(list(sizes))
    return [replace(c, features=x) for c, x in zip(clients, parts, strict=True)]


def step(
    clients: list[Client], schedule: Schedule, taking: np.ndarray | None, alike: bool
) -> Tensor:
    """One step's gradients, (clients, numbers), from parameters alike or each client's own."""
    model, ordered = net(), in_order(clients)
    like = parameters(model)
    params, out = Stack.of(like, len(clients)), Stack.of(like, len(clients))
    params.fill(like)
    if not alike:
        for place, part in enumerate(params.parts):
            part += 0.1 * torch.randn(part.shape, generator=torch.Generator().manual_seed(place))
    out.flat.fill_(7.0)
    draws = [torch.Generator().manual_seed(place) for place in range(len(clients))]
    Stacked(model, ordered, schedule).gradients(params.parts, out, draws, alike, taking)
    return flat(out.parts)


@pytest.mark.parametrize("schedule", [FULL, SAMPLED, replace(SILENT, sampling_rate=1.0)])
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("large", [1 << 15, 1 << 6])
@pytest.mark.parametrize("made", [sample_clients, in_one_array])
def test_who_takes_part_has_the_same_gradient_as_among_all_and_others_have_none(
    made: object, large: int, alike: bool, schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacked, "_ALONE", large)
    clients = made(MANY)  # type: ignore[operator]
    whole = step(clients, schedule, None, alike)
    for seed in range(4):
        taking = np.random.default_rng(seed).random(len(MANY)) < 0.5
        taking[seed] = True
        found = step(clients, schedule, taking, alike)
        torch.testing.assert_close(found[taking], whole[taking], rtol=0, atol=1e-6)
        assert not found[~taking].any()


def test_only_those_who_take_part_toss_coins_and_add_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tossed, noised = list[int](), list[int]()
    coins, gaussian = noise.bernoulli, noise.add_gaussian

    def toss(count: int, probability: float) -> np.ndarray:
        tossed.append(count)
        return coins(count, probability)

    def add(values: np.ndarray, sigma: float) -> None:
        noised.append(values.size)
        gaussian(values, sigma)

    monkeypatch.setattr(noise, "bernoulli", toss)
    monkeypatch.setattr(noise, "add_gaussian", add)
    plan = replace(SILENT, sampling_rate=0.5, noise_multiplier=1.0)
    taking = np.array([False, True, False, True])
    step(sample_clients((10, 20, 30, 40)), plan, taking, alike=True)
    assert tossed == [60]
    assert noised == [2 * len(flat(net()))]


def test_noise_of_those_who_take_part_has_the_promised_deviation() -> None:
    plan = replace(SILENT, noise_multiplier=3.0)
    nobody = [Client(f"b{n:03}", torch.zeros(0, WIDTH), torch.zeros(0), 2.0) for n in range(400)]
    taking = np.arange(400) % 4 == 0
    found = step(nobody, plan, taking, alike=True)[taking].double() * 2.0
    expected = plan.noise_multiplier * plan.clip_norm
    assert float(found.std()) == pytest.approx(expected, rel=8 / (2 * found.numel()) ** 0.5)


def test_a_training_of_which_few_take_part_ends_as_that_of_those_few() -> None:
    """One round: the job of the clients that were drawn, in which everyone takes part."""
    clients, drawn = sample_clients((30, 20, 25, 35, 15)), list[str]()
    model = net()

    class Watching(FedAvg):
        def fold(self, start: list[Tensor], updates: list[Tensor], weights: Tensor) -> list[Tensor]:
            named = zip(in_order(clients), weights.tolist(), strict=True)
            drawn.extend(client.name for client, weight in named if weight)
            return super().fold(start, updates, weights)

    run(model, clients, Schedule(1, 3, 1.0), Watching(0.3), terms=Terms(participation=0.4))
    assert len(drawn) == 2
    alone = net()
    few = [client for client in clients if client.name in drawn]
    run(alone, few, Schedule(1, 3, 1.0), FedAvg(0.3))
    torch.testing.assert_close(flat(model), flat(alone), rtol=0, atol=1e-6)
