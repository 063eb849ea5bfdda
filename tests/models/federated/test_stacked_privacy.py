"""No record changes what leaves its client by more than it may, and the noise is all there.

Noise cannot be seeded: statistical tests fail on correct code once in 10⁹ runs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from models.federated import Client, FedAvg, run
from models.federated.clients import in_order
from privacy import noise
from tests.models.federated.sample_clients import (
    SHAPES,
    SILENT,
    SIZES,
    WIDTH,
    flat,
    gradients,
    net,
    sample_clients,
)

RARELY = 1e-9


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def one_hot_clients(sizes: Sequence[int]) -> list[Client]:
    """Every record in a column of its own."""
    return [
        Client(f"bank {i}", torch.eye(n, max(sizes)), torch.zeros(n), float(n))
        for i, n in enumerate(sizes)
    ]


def test_each_step_draws_every_record_with_the_sampling_rate() -> None:
    clients, steps = one_hot_clients((200, 150)), 100
    model = nn.Sequential(nn.Linear(200, 1))
    plan = replace(SILENT, sampling_rate=0.3, clip_norm=10.0)
    drawn = torch.stack([gradients(model, clients, plan)[0] != 0 for _ in range(steps)])[:, :, 0]
    assert not drawn[:, 0, 150:].any()  # in order, the smaller client comes first
    for place, size in enumerate((150, 200)):
        mine = drawn[:, place, :size].numpy()
        assert stats.binomtest(int(mine.sum()), size * steps, 0.3).pvalue > RARELY
        assert np.var(mine.sum(axis=1)) == pytest.approx(size * 0.21, rel=0.9)
        assert mine.sum(axis=0).max() < stats.binom.isf(RARELY / size, steps, 0.3)
        assert mine.any(axis=0).all()


@pytest.mark.parametrize("sizes", [SIZES, (0, 0), (0, 50), (1,)])
@pytest.mark.parametrize("rate", [1.0, 0.2])
def test_noise_has_the_promised_sigma_in_every_coordinate_of_every_client(
    sizes: Sequence[int], rate: float
) -> None:
    clients = sample_clients(sizes)
    for client in clients:
        client.features[:, 3:] = 0.0  # columns nobody uses
    plan = replace(SILENT, sampling_rate=1.0, noise_multiplier=1.3)
    model, repeats = net((4,)), 400
    signal = flat(gradients(model, clients, replace(plan, noise_multiplier=0.0)))
    draws = torch.stack([flat(gradients(model, clients, plan)) for _ in range(repeats)])
    batches = torch.tensor([client.records for client in in_order(clients)])[:, None]
    found = ((draws - signal) * batches).double().numpy() / (1.3 * 0.5)
    found = found.reshape(repeats, -1)
    low, high = stats.chi2.ppf([RARELY / found.shape[1], 1 - RARELY / found.shape[1]], repeats)
    sums = (found**2).sum(axis=0)
    assert ((low < sums) & (sums < high)).all()
    assert stats.kstest(found.ravel(), "norm").pvalue > RARELY
    between = np.asarray(np.corrcoef(found.T))[np.triu_indices(found.shape[1], 1)]
    assert np.abs(between).max() < 8 / np.sqrt(repeats)  # no two clients or coordinates share


def test_every_local_step_of_every_client_adds_its_own_noise() -> None:
    clients, starts = sample_clients((0, 0, 0)), net((2,))
    plan = replace(SILENT, noise_multiplier=2.0, local_steps=16)
    ends = []
    for _ in range(40):
        model = copy.deepcopy(starts)
        run(model, clients, plan, FedAvg(1.0))
        ends.append(flat(model) - flat(starts))
    drawn = torch.stack(ends).double().numpy()
    # three clients of weight 1/3 and batch 2: σC/2 a step
    variance = 16 * (2.0 * 0.5 / 2.0) ** 2 / 3
    low, high = stats.chi2.ppf([RARELY / 2, 1 - RARELY / 2], drawn.size)
    assert low < (drawn**2).sum() / variance < high


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e38])
@pytest.mark.parametrize("rate", [1.0, 0.9])
@pytest.mark.parametrize("hidden", SHAPES)
def test_a_record_that_is_not_finite_changes_no_more_than_one_record_may(
    bad: float, rate: float, hidden: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "bernoulli", lambda n, q: np.ones(n, dtype=bool))
    clients, plan = sample_clients(), replace(SILENT, sampling_rate=rate)
    x = torch.cat([clients[0].features, torch.full((1, WIDTH), bad)])
    spoilt = replace(clients[0], features=x, target=torch.cat([clients[0].target, torch.ones(1)]))
    model = net(hidden, nn.ReLU())
    before = flat(gradients(model, clients, plan))
    after = flat(gradients(model, [spoilt, *clients[1:]], plan))
    place = [c.name for c in in_order(clients)].index(spoilt.name)
    moved = (after - before).norm(dim=1)
    assert moved[place] <= plan.clip_norm / (rate * spoilt.records) * (1 + 1e-5)
    others = torch.cat([moved[:place], moved[place + 1 :]])
    assert others.max() <= 1e-6


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e18])
@pytest.mark.parametrize("hidden", SHAPES)
def test_no_record_moves_the_sum_by_more_than_the_clip_norm(
    size: float, hidden: Sequence[int]
) -> None:
    for number in range(10):
        client = sample_clients((40,))[0]
        one = slice(number, number + 1)
        alone = Client("one", size * client.features[one], client.target[one], 1.0)
        found = gradients(net(hidden), [alone], SILENT)
        assert flat(found).double().norm() <= SILENT.clip_norm


def test_the_divisor_is_the_expected_batch_and_never_the_private_count() -> None:
    (client,) = sample_clients((30,))
    twice = replace(
        client,
        features=torch.cat([client.features] * 2),
        target=torch.cat([client.target] * 2),
    )
    once, doubled = (flat(gradients(net(), [each], SILENT)) for each in (client, twice))
    torch.testing.assert_close(doubled, 2 * once)
