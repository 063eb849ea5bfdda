"""Clients that send nothing usable, too much, or something wild: the model bears them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from domains.errors import InputError, Interrupted
from models.federated import Client, FedAvg, Rounds, Strategy, Terms, run, screening
from models.federated.median import Median
from models.federated.screening import expected_noise, screen, told
from models.federated.terms import EVERYONE
from models.federated.trimmed_mean import TrimmedMean
from models.strategies import STRATEGIES, make
from privacy.plan import PrivacyPlan, Schedule
from tests.models.federated.sample_clients import SILENT, WIDTH, flat, net, sample_clients

SCHEDULE = Schedule(3, 2, 1.0)
SIZES = (30, 20, 25, 35)
WILD = "bank 2"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def with_features(value: float) -> list[Client]:
    """The sample, with one client whose records all say `value`."""
    clients = sample_clients(SIZES)
    clients[2] = replace(clients[2], features=torch.full((SIZES[2], WIDTH), value))
    return clients


def trained(
    clients: Sequence[Client],
    strategy: Strategy | None = None,
    terms: Terms = EVERYONE,
    schedule: Schedule = SCHEDULE,
) -> tuple[Tensor, Rounds]:
    model = net((4,), torch.nn.ReLU())
    rounds = run(model, clients, schedule, strategy or FedAvg(0.3), terms=terms)
    return flat(model), rounds


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_a_client_that_sends_nan_or_infinity_is_excluded_and_reported(
    bad: float, name: str
) -> None:
    ends, rounds = trained(with_features(bad), make(name, {}, learning_rate=0.3))
    assert ends.isfinite().all()
    assert rounds.conduct == {WILD: {screening.NOT_FINITE: 3}}
    assert [point["clients"] for point in rounds.history] == [3.0] * 3
    others = [client for client in sample_clients(SIZES) if client.name != WILD]
    expected, _ = trained(others, make(name, {}, learning_rate=0.3))
    torch.testing.assert_close(ends, expected, rtol=0, atol=1e-5)


def test_one_client_of_other_kinds_of_nets_is_excluded_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from models.federated import rounds as engine

    expected, _ = trained(with_features(float("nan")))
    monkeypatch.setattr(engine, "layers_of", lambda _: None)
    ends, rounds = trained(with_features(float("nan")))
    assert rounds.conduct == {WILD: {screening.NOT_FINITE: 3}}
    torch.testing.assert_close(ends, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("terms", [Terms(times_median=4.0), Terms(longest=3.0)])
def test_an_outsized_update_is_excluded_and_reported(terms: Terms) -> None:
    ends, rounds = trained(with_features(1e4), terms=terms)
    assert rounds.conduct[WILD] == {screening.TOO_LONG: 3}
    others = [client for client in sample_clients(SIZES) if client.name != WILD]
    expected, _ = trained(others, terms=terms)
    torch.testing.assert_close(ends, expected, rtol=0, atol=1e-5)


def test_an_outsized_update_is_clipped_to_the_public_bound_and_reported() -> None:
    updates = [torch.tensor([[3.0, 4.0], [0.3, 0.4]]), torch.zeros(2, 1)]
    found = screen(updates, {}, Terms(longest=1.0, beyond="clip"), torch.zeros(2))
    assert found == {0: screening.CLIPPED}
    torch.testing.assert_close(updates[0], torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
    _, rounds = trained(with_features(1e4), terms=Terms(longest=1.0, beyond="clip"))
    assert rounds.conduct[WILD].keys() == {screening.CLIPPED}
    assert max(point["step_length"] for point in rounds.history) <= 1.0
    assert [point["clients"] for point in rounds.history] == [4.0] * 3


def test_a_bound_that_nobody_passes_changes_nothing() -> None:
    ends, rounds = trained(sample_clients(SIZES), terms=Terms(longest=1e9, times_median=1e9))
    assert torch.equal(ends, trained(sample_clients(SIZES))[0])
    assert rounds.conduct == {}


def test_small_clients_are_not_excluded_for_the_noise_they_must_add() -> None:
    clients = [
        Client(f"bank {i}", torch.zeros(0, WIDTH), torch.zeros(0), n)
        for i, n in enumerate((1e4, 1e4, 1e4, 10.0))
    ]
    plan = replace(SILENT, noise_multiplier=1.0, rounds=5, local_steps=4)
    _, rounds = trained(clients, terms=Terms(times_median=3.0), schedule=plan)
    assert rounds.conduct == {}  # ‖N(0, I)‖ of 33 numbers passes 3·√33 once in 10⁴⁰


def test_the_expected_noise_is_as_long_as_the_noise_is() -> None:
    (client,) = clients = sample_clients((0,))
    plan = replace(SILENT, noise_multiplier=2.0, sampling_rate=0.5, local_steps=9)
    model, start = net((40,)), flat(net((40,)))
    run(model, clients, plan, FedAvg(0.1))
    length = expected_noise(plan, [client], 0.1, len(start))
    assert float((flat(model) - start).norm() / length) == pytest.approx(1.0, abs=0.35)  # 8 sigma


def test_the_median_ignores_one_wild_client() -> None:
    calm, _ = trained(sample_clients(SIZES), Median(0.3))
    wild, rounds = trained(with_features(1e6), Median(0.3))
    assert rounds.conduct == {}  # it counts, and does no harm
    assert (wild - calm).norm() < 1.0
    averaged, _ = trained(with_features(1e6), FedAvg(0.3))
    assert (averaged - calm).norm() > 1e3


def test_the_median_by_hand() -> None:
    updates = [torch.tensor([[1.0, 9.0], [5.0, 1.0], [3.0, 2.0], [0.0, 0.0]])]
    (odd,) = Median(1.0).combine(updates, torch.tensor([0.9, 0.05, 0.05, 0.0]))
    assert odd.tolist() == [3.0, 2.0]
    (even,) = Median(1.0).combine(updates, torch.ones(4) / 4)
    assert even.tolist() == [2.0, 1.5]


def test_a_trimmed_mean_that_trims_nobody_is_the_mean() -> None:
    equal = Terms(weights="equal")
    found, _ = trained(sample_clients(SIZES), TrimmedMean(0.3, 0.5, trim=0.0))
    expected, _ = trained(sample_clients(SIZES), FedAvg(0.3, 0.5), equal)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("trim", "expected"), [(0.01, 3.0), (0.2, 3.0), (0.4, 2.0)])
def test_the_trimmed_mean_by_hand(trim: float, expected: float) -> None:
    updates = [torch.tensor([[-9.0], [1.0], [2.0], [6.0], [99.0]])]
    (found,) = TrimmedMean(1.0, trim=trim).combine(updates, torch.ones(5) / 5)
    assert found.item() == pytest.approx(expected)


def test_weights_by_size_and_equal_ones_differ_as_they_should() -> None:
    empty = Client("far", torch.zeros(0, WIDTH), torch.zeros(0), 1e6)
    (start,) = [flat(net((4,), torch.nn.ReLU()))]
    alone, _ = trained(sample_clients((30,)), schedule=Schedule(1, 1, 1.0))
    by_size, _ = trained([*sample_clients((30,)), empty], schedule=Schedule(1, 1, 1.0))
    equal, _ = trained(
        [*sample_clients((30,)), empty], None, Terms(weights="equal"), Schedule(1, 1, 1.0)
    )
    assert (by_size - start).norm() < 1e-3
    torch.testing.assert_close(equal - start, (alone - start) / 2, rtol=0, atol=1e-6)


def test_fewer_clients_than_the_median_needs_are_refused_before_anything_is_trained() -> None:
    for strategy in (Median(0.3), TrimmedMean(0.3)):
        with pytest.raises(InputError, match=r"found 2 of 2 clients a round, expected at least 3"):
            trained(sample_clients((5, 6)), strategy)
    with pytest.raises(InputError, match=r"found 2 of 4 clients a round"):
        trained(sample_clients(SIZES), Median(0.3), Terms(participation=0.5))


def test_too_few_clients_left_in_a_round_is_one_line() -> None:
    clients = [*with_features(float("nan"))[1:3], sample_clients(SIZES)[3]]
    said = r"^round 1, Median: found 2 of 3 clients' updates that count \(1 no finite length\)"
    with pytest.raises(Interrupted, match=said) as caught:
        trained(clients, Median(0.3))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("private", [True, False])
def test_all_clients_gone_in_a_round_is_one_line(private: bool) -> None:
    schedule: Schedule = SCHEDULE
    if private:
        schedule = PrivacyPlan(**(vars(SILENT) | {"rounds": 3}))
    said = r"round 1, FedAvg: found 0 of 4 clients' updates that count \(4 too long\), expected"
    with pytest.raises(Interrupted, match=said):
        trained(sample_clients(SIZES), terms=Terms(longest=1e-12), schedule=schedule)


def test_a_report_names_a_few_clients_and_counts_the_others() -> None:
    conduct = {f"bank {i}": {"too long": i, "no answer in time": 1} for i in range(1, 8)}
    said = told(conduct)
    assert "bank 5 (too long in 5 rounds, no answer in time in 1 rounds)" in said
    assert said.endswith("and 2 more clients")
    assert told({}) == ""
