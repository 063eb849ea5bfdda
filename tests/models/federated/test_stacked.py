"""All clients at once give what each alone gives."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from domains.errors import InputError
from models.federated import Client, FedAvg, run, stacked
from models.federated.clients import Records
from models.federated.rounds import _draws
from privacy import noise
from privacy.dpsgd import local_update, mean_cross_entropy
from privacy.plan import PrivacyPlan, Schedule
from tests.models.federated.sample_clients import (
    SHAPES,
    SILENT,
    SIZES,
    WIDTH,
    flat,
    net,
    sample_clients,
)

RATE = 0.3
PLANS = [replace(SILENT, rounds=2, local_steps=3, sampling_rate=q) for q in (1.0, 0.4)]
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(clients: list[Client], schedule: Schedule, hidden: Sequence[int] = (5, 4)) -> Tensor:
    model = net(hidden)
    run(model, clients, schedule, FedAvg(RATE))
    return flat(model)


def averaged(
    clients: list[Client], schedule: Schedule, hidden: Sequence[int], local: Any
) -> Tensor:
    """Federated averaging written out: `local` trains one client's copy of the model."""
    model = net(hidden)
    total = sum(client.records for client in clients)
    for number in range(1, schedule.rounds + 1):
        ends = torch.zeros_like(flat(model))
        for client in clients:
            own = copy.deepcopy(model)
            local(own, client, number)
            ends += client.records / total * flat(own)
        nn.utils.vector_to_parameters(ends, model.parameters())
    return flat(model)


@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("plan", PLANS)
def test_without_privacy_it_is_federated_averaging(
    plan: PrivacyPlan, hidden: Sequence[int]
) -> None:
    clients, schedule = sample_clients(), Schedule(2, 3, plan.sampling_rate)

    def local(model: nn.Module, client: Client, number: int) -> None:
        (draws,) = _draws(0, number, [client])
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(schedule.local_steps):
            drawn = torch.ones(len(client.target), dtype=torch.bool)
            if schedule.sampling_rate < 1:
                drawn = torch.rand(len(drawn), generator=draws) < schedule.sampling_rate
            optimizer.zero_grad()
            expected = schedule.sampling_rate * client.records
            if drawn.any():
                x, y = client.features[drawn], client.target[drawn]
                (mean_cross_entropy(model(x), y) * (len(x) / expected)).backward()
            optimizer.step()

    expected = averaged(clients, schedule, hidden, local)
    torch.testing.assert_close(trained(clients, schedule, hidden), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("hidden", SHAPES)
def test_no_noise_and_a_huge_clip_equal_federated_averaging(hidden: Sequence[int]) -> None:
    plan = replace(PLANS[0], clip_norm=1e6)
    plain = trained(sample_clients(), Schedule(2, 3, 1.0), hidden)
    torch.testing.assert_close(trained(sample_clients(), plan, hidden), plain, rtol=0, atol=1e-5)
    assert (plain - flat(net(hidden))).norm() > 0.1


@pytest.fixture
def coins(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The same batches whoever draws them, client by client or all at once; clear it to repeat."""
    sizes, steps = sorted(SIZES), dict[int, int]()  # in the engine's order

    def tossed(count: int, probability: float) -> np.ndarray:
        step = steps[count] = steps.get(count, -1) + 1
        mine = sizes if count == sum(sizes) else [count]
        each = [np.random.default_rng([size, step]).random(size) for size in mine]
        coins: np.ndarray = np.concatenate(each) < probability
        return coins

    monkeypatch.setattr(noise, "bernoulli", tossed)
    return steps


@pytest.mark.usefixtures("coins")
@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("plan", PLANS)
def test_it_equals_opacus_on_the_same_batches(plan: PrivacyPlan, hidden: Sequence[int]) -> None:
    clients = sample_clients()

    def local(model: nn.Module, client: Client, number: int) -> None:
        batch = plan.sampling_rate * client.records
        x, y = client.features, client.target
        local_update(model, x, y, plan=plan, expected_batch=batch, learning_rate=RATE)

    expected = averaged(clients, plan, hidden, local)
    ours = trained(clients, plan, hidden)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)
    loose = trained(clients, replace(plan, clip_norm=1e6), hidden)
    assert (ours - loose).norm() > 0.01  # the clip was at work


@pytest.mark.parametrize("plan", PLANS)
def test_one_client_is_central_training(plan: PrivacyPlan, coins: dict[int, int]) -> None:
    client, model = sample_clients()[0], net()
    batch = plan.sampling_rate * client.records
    whole = replace(plan, local_steps=plan.steps)
    where = (model, client.features, client.target)
    local_update(*where, plan=whole, expected_batch=batch, learning_rate=RATE)
    coins.clear()
    torch.testing.assert_close(trained([client], plan), flat(model), rtol=0, atol=1e-5)


@pytest.mark.parametrize("rate", [1.0, 0.4])
@pytest.mark.parametrize("private", [True, False])
def test_permuting_clients_changes_nothing(rate: float, private: bool) -> None:
    clients = sample_clients((30, 30, 7, 120, 30))
    schedule = replace(SILENT, local_steps=2, rounds=2) if private else Schedule(2, 2, rate)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(5), (4, 1)), axis=1)
    ends = [trained([clients[i] for i in order], schedule) for order in orders]
    assert all(torch.equal(ends[0], end) for end in ends[1:])


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("rate", [1.0, 0.5])
@pytest.mark.parametrize("alike", [True, False])
def test_pieces_equal_the_whole(
    private: bool, rate: float, alike: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "bernoulli", lambda n, q: np.arange(n) % 2 == 0)
    schedule = replace(SILENT, sampling_rate=rate) if private else Schedule(1, 1, rate)
    schedule = replace(schedule, local_steps=1 if alike else 2)
    whole = trained(sample_clients(), schedule)
    for numbers in (1, 300, 2000):
        for alone in (1, 10**9):
            monkeypatch.setattr(stacked, "_PIECE_NUMBERS", numbers)
            monkeypatch.setattr(stacked, "_ALONE", alone)
            pieces = trained(sample_clients(), schedule)
            torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("most", [100, 5_000, 10**6])
@pytest.mark.parametrize("smallest", [0, 3, 300])
def test_neighbours_are_padded_within_their_room_and_to_little_waste(
    smallest: int, most: int
) -> None:
    expected = np.geomspace(smallest + 1, 100 * (smallest + 1), 200)
    counts = np.random.default_rng(0).poisson(expected)
    blocks = list(stacked._blocks(counts, most))
    assert [place for block in blocks for place in range(200)[block]] == list(range(200))
    padded = 0
    for block in blocks:
        rows = len(counts[block]) * counts[block].max()
        assert rows <= most or len(counts[block]) == 1
        padded += rows
    assert padded <= 1.3 * counts.sum() + 256 * len(blocks)


def slices_of_a_file(folder: Path, gap: int) -> tuple[list[Client], np.memmap]:
    """The sample's records in one mapped file, `gap` rows of nobody between clients."""
    clients, rows = sample_clients(), list[np.ndarray]()
    for client in clients:
        rows += [client.features.numpy(), np.full((gap, WIDTH), np.nan, dtype=np.float32)]
    whole = np.concatenate(rows)
    np.save(folder / "codes.npy", whole)
    mapped = np.load(folder / "codes.npy", mmap_mode="c")
    base, made, at = torch.from_numpy(mapped), [], 0
    for client in clients:
        end = at + len(client.features)
        made.append(replace(client, features=base[at:end]))
        at = end + gap
    return made, mapped


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("plan", [PLANS[0], Schedule(2, 3, 0.4)])
def test_slices_of_a_mapped_file_are_used_where_they_lie(
    gap: int, plan: Schedule, tmp_path: Path
) -> None:
    clients, mapped = slices_of_a_file(tmp_path, gap)
    assert Records(clients).base.data_ptr() == mapped.ctypes.data
    expected = trained(sample_clients(), plan)
    torch.testing.assert_close(trained(clients, plan), expected, rtol=0, atol=1e-6)


def odd_clients() -> Iterator[tuple[str, list[Client]]]:
    sizes = sample_clients((0, 1, 5, 300))
    yield "empty, one record, fewer than a batch", sizes
    yield "one class", [replace(c, target=torch.zeros_like(c.target)) for c in sizes]
    yield "nobody", sample_clients((0, 0))


@pytest.mark.parametrize(("name", "clients"), odd_clients())
@pytest.mark.parametrize("rate", [1.0, 0.1, 1e-12])
@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_odd_clients_take_part(name: str, clients: list[Client], rate: float, sigma: float) -> None:
    plan = replace(SILENT, local_steps=2, sampling_rate=rate, noise_multiplier=sigma)
    plan = replace(plan, clip_norm=rate)  # so that a step is of ordinary length
    start, ends = flat(net()), trained(clients, plan)
    assert torch.isfinite(ends).all()
    assert (ends != start).all() or sigma == 0.0


@pytest.mark.parametrize("records", [0.0, -1.0, float("nan")])
def test_an_impossible_number_of_records_names_the_client(records: float) -> None:
    (client,) = sample_clients((5,))
    with pytest.raises(InputError, match=r"bank 0: found .*, expected a positive number"):
        trained([replace(client, records=records)], SILENT)
