"""Who takes part in a round, who is lost from it, and what that costs whom.

Draws of private runs cannot be seeded: statistical tests fail on correct code once in 10⁹ runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from domains.errors import InputError, Interrupted
from models.federated import Client, FedAvg, Rounds, Terms, run
from models.federated.stack import State
from models.federated.terms import EVERYONE, NO_ANSWER, NOT_DRAWN, call
from privacy import noise
from privacy.plan import PrivacyPlan, Schedule
from tests.models.federated.sample_clients import SILENT, WIDTH, flat, net, sample_clients

RARELY = 1e-9
HALF = Terms(participation=0.5)
SIZES = (30, 20, 25, 35)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Watched(FedAvg):
    """Keeps each round's weights and updates."""

    def __init__(self) -> None:
        super().__init__(0.3)
        self.weights: list[Tensor] = []
        self.updates: list[Tensor] = []

    def fold(self, start: State, updates: State, weights: Tensor) -> State:
        self.weights.append(weights.clone())
        self.updates.append(flat(updates).clone())
        return super().fold(start, updates, weights)


def watched(
    schedule: Schedule, terms: Terms, clients: Sequence[Client] | None = None, seed: int = 0
) -> tuple[Watched, Rounds]:
    strategy = Watched()
    held = sample_clients(SIZES) if clients is None else clients
    return strategy, run(net((4,)), held, schedule, strategy, terms=terms, seed=seed)


@pytest.mark.parametrize("rate", [1.0, 0.5])
@pytest.mark.parametrize("private", [True, False])
def test_of_those_who_are_not_drawn_no_record_is_touched(rate: float, private: bool) -> None:
    """Their records could be anything: with them spoilt, nothing changes."""
    schedule = Schedule(6, 2, rate)
    if private:
        schedule = replace(SILENT, rounds=6, local_steps=2, sampling_rate=rate)
    strategy, rounds = watched(schedule, HALF)
    for weights, updates in zip(strategy.weights, strategy.updates, strict=True):
        assert (weights > 0).sum() == 2
        assert float(weights.sum()) == pytest.approx(1.0)
        assert (updates[weights == 0] == 0).all()
        assert (updates[weights > 0] != 0).any(dim=1).all()
    assert [point["clients"] for point in rounds.history] == [2.0] * 6
    assert rounds.conduct == {}  # to be left out is no conduct


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_records_of_those_who_are_not_drawn_change_nothing(rate: float) -> None:
    clients, one = sample_clients(SIZES), Schedule(1, 2, rate)
    strategy, _ = watched(one, HALF)
    ordered = sorted(clients, key=lambda client: client.records)
    away = {client.name for client, w in zip(ordered, strategy.weights[0], strict=True) if w == 0}
    spoilt = [
        replace(c, features=torch.full_like(c.features, torch.nan)) if c.name in away else c
        for c in clients
    ]
    again, _ = watched(one, HALF, spoilt)
    torch.testing.assert_close(again.updates[0], strategy.updates[0], rtol=0, atol=1e-6)


def test_without_privacy_seed_and_round_draw_and_nothing_else() -> None:
    clients = sample_clients(SIZES)
    first = [call(HALF, clients, number, 3) for number in range(50)]
    assert first == [call(HALF, clients, number, 3) for number in range(50)]
    assert first != [call(HALF, clients, number, 4) for number in range(50)]
    assert len({tuple(sorted(missing)) for missing in first}) == 6  # every pair comes
    plain, again = (watched(Schedule(4, 1, 0.5), HALF)[0] for _ in range(2))
    assert torch.equal(torch.stack(plain.weights), torch.stack(again.weights))


def test_of_a_private_run_the_operating_system_draws_fairly() -> None:
    clients, rounds = sample_clients(SIZES), 4000
    away = np.zeros(4)
    for number in range(rounds):
        missing = call(HALF, clients, number % 2, None)
        assert list(missing.values()) == [NOT_DRAWN] * 2
        away[list(missing)] += 1
    assert all(stats.binomtest(int(n), rounds, 0.5).pvalue > RARELY for n in away)


def test_lost_updates_come_as_often_as_said_and_only_from_those_drawn() -> None:
    clients, terms = sample_clients(SIZES), Terms(participation=0.5, dropout=0.2)
    for seed in (7, None):
        lost = [list(call(terms, clients, n, seed).values()) for n in range(2000)]
        assert all(said.count(NOT_DRAWN) == 2 for said in lost)
        late = sum(said.count(NO_ANSWER) for said in lost)
        assert stats.binomtest(late, 4000, 0.2).pvalue > RARELY


def test_a_lost_update_counts_nothing_and_is_reported_by_client() -> None:
    strategy, rounds = watched(Schedule(30, 1, 1.0), Terms(dropout=0.2))
    missed = sum((weights == 0).sum() for weights in strategy.weights)
    told = sum(said[NO_ANSWER] for said in rounds.conduct.values())
    assert told == missed > 0
    assert sum(point["clients"] for point in rounds.history) == 4 * 30 - told


def test_all_answers_lost_in_a_round_is_one_line_and_earlier_rounds_are_kept() -> None:
    with pytest.raises(Interrupted, match=r"found 0 of 2 clients' updates .*no answer in time"):
        watched(Schedule(200, 1, 1.0), Terms(dropout=0.5), sample_clients((5, 6)))


def test_whoever_is_drawn_adds_noise_whether_the_update_counts_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every step of every round, for all clients: what is lost or too long was noised before."""
    noised: list[int] = []
    real = noise.add_gaussian

    def counted(values: np.ndarray, sigma: float) -> None:
        noised.append(len(values))
        real(values, sigma)

    monkeypatch.setattr(noise, "add_gaussian", counted)
    plan = replace(SILENT, rounds=20, local_steps=3, noise_multiplier=1.0)
    empty = [Client(f"bank {i}", torch.zeros(0, WIDTH), torch.zeros(0), 10.0) for i in range(4)]
    terms = Terms(dropout=0.05, times_median=1.2, beyond="clip")
    watched(plan, terms, empty)
    assert noised == [4 * len(flat(net((4,))))] * 60


def test_a_private_update_is_as_noisy_with_half_the_clients_as_with_all() -> None:
    """Nobody's noise is made smaller for the rounds that it sits out."""
    clients = [Client(f"bank {i}", torch.zeros(0, WIDTH), torch.zeros(0), 2.0) for i in range(4)]
    plan = replace(SILENT, rounds=60, noise_multiplier=1.0)
    for terms in (EVERYONE, HALF):
        strategy, _ = watched(plan, terms, clients)
        drawn = torch.cat(
            [u[w > 0] for u, w in zip(strategy.updates, strategy.weights, strict=True)]
        )
        variance = (0.3 * plan.clip_norm / 2.0) ** 2
        low, high = stats.chi2.ppf([RARELY / 2, 1 - RARELY / 2], drawn.numel())
        assert low < float((drawn.double() ** 2).sum()) / variance < high


def test_a_plan_costs_the_same_whatever_share_takes_part() -> None:
    """Events are the plan's, and the plan knows nothing of the terms."""
    assert not {"participation", "dropout"} & set(PrivacyPlan.__dataclass_fields__)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("participation", 0.0),
        ("participation", 1.1),
        ("participation", float("nan")),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("times_median", 0.5),
        ("longest", 0.0),
        ("longest", float("inf")),
    ],
)
def test_impossible_terms_are_one_line_that_names_them(key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{key}: found {value}, expected within"):
        Terms(**{key: value})  # type: ignore[arg-type]


def test_a_round_always_has_somebody() -> None:
    assert [Terms(participation=0.01).drawn(n) for n in (1, 10, 1000)] == [1, 1, 10]
    assert [Terms(participation=0.1).drawn(n) for n in (10, 20, 30)] == [1, 2, 3]
