"""All clients at once give what each alone gives, and no record more than it may.

Noise cannot be seeded: statistical tests fail on correct code once in 10⁹ runs.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from domains.errors import InputError
from models.federated import Client, FedAvg, run, stacked
from models.federated.clients import Records, in_order
from models.federated.nets import ACTIVATIONS, layers_of
from models.federated.one_by_one import OneByOne
from models.federated.rounds import _draws
from models.federated.stack import Stack, parameters
from privacy import noise
from privacy.dpsgd import local_update, mean_cross_entropy
from privacy.plan import PrivacyPlan, Schedule
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


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=lambda kind: kind.__name__)
def test_every_activation_has_autograds_slope(kind: type[nn.Module]) -> None:
    clients = sample_clients()
    model = net((5, 4), kind())
    found = gradients(model, clients, Schedule(1, 1, 1.0))
    for place, client in enumerate(in_order(clients)):
        loss = mean_cross_entropy(model(client.features), client.target)
        expected = torch.autograd.grad(loss, list(model.parameters()))
        share = len(client.features) / client.records
        for part, each in zip(found, expected, strict=True):
            torch.testing.assert_close(part[place], share * each, rtol=1e-4, atol=1e-6)


def test_layers_without_a_bias_are_clipped_by_their_own_norm() -> None:
    model = nn.Sequential(nn.Linear(WIDTH, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    (client,) = clients = sample_clients((1,), scale=50.0)
    found = flat(gradients(model, clients, replace(SILENT, clip_norm=0.01)))
    assert float(found.norm()) * client.records == pytest.approx(0.01, rel=1e-5)


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


class Own(nn.Linear):
    """May compute something else."""


def unknown_nets() -> Iterator[nn.Module]:
    yield nn.Sequential(Own(WIDTH, 4), nn.Tanh(), nn.Linear(4, 1))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.Dropout(), nn.Linear(4, 1))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh(), nn.Linear(4, 2))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh())
    yield nn.Sequential(nn.Tanh(), nn.Linear(WIDTH, 1))
    frozen = net()
    frozen[0].requires_grad_(False)
    yield frozen
    tied = nn.Linear(WIDTH, WIDTH)
    yield nn.Sequential(tied, tied, nn.Linear(WIDTH, 1))
    yield net().double()


@pytest.mark.parametrize("model", unknown_nets())
def test_only_nets_it_knows_are_stacked(model: nn.Module) -> None:
    assert layers_of(model) is None


def test_nested_nets_and_layers_in_a_row_are_known() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), nn.Linear(2, 2, bias=False))
    layers = layers_of(nn.Sequential(model, nn.Identity(), nn.Linear(2, 1)))
    assert layers is not None
    assert [(each.weight, each.bias) for each in layers] == [(0, 1), (2, None), (3, 4)]


@pytest.mark.parametrize("schedule", [PLANS[0], Schedule(1, 2, 0.4), Schedule(1, 2, 1.0)])
def test_one_by_one_gives_the_same_gradients(schedule: Schedule) -> None:
    clients, like = in_order(sample_clients()), parameters(net())
    params = Stack.of(like, len(clients))
    for part in params.parts:
        torch.nn.init.normal_(part, generator=torch.Generator().manual_seed(2))
    found = []
    for kind in (stacked.Stacked, OneByOne):
        out = Stack.of(like, len(clients))
        engine = kind(net(), clients, schedule)
        draws = _draws(0, 1, clients)
        for _ in range(2):  # the second step draws on
            engine.gradients(params.parts, out, draws, alike=False)
        found.append(out.flat)
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_other_nets_train_through_opacus() -> None:
    clients = sample_clients()
    known, unknown = net((4,)), net((4,))
    unknown[0].__class__ = Own
    for model in (known, unknown):
        run(model, clients, PLANS[0], FedAvg(RATE))
    torch.testing.assert_close(flat(unknown), flat(known), rtol=0, atol=1e-5)
