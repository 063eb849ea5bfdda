"""On what terms clients tell of their trees: drawn, late, wild or gone, and charged for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from domains.errors import InputError, Interrupted
from models.checkpoint import Checkpoint
from models.federated import Client, FedAvg, Rounds, Terms
from models.federated import run as train_net
from models.federated.screening import CLIPPED, NOT_FINITE, TOO_LONG
from models.federated.terms import EVERYONE, NO_ANSWER, NOT_DRAWN, call
from models.trees import Trees, boosting, leaves, run
from models.trees.leaves import Floats
from privacy.plan import PrivacyPlan, Schedule
from tests.models.interrupted import kills, same
from tests.models.trees.sample_trees import HOW, OPEN, banks, empty, private, sapling

SIZES = (200, 100, 150, 120)
WILD = "bank 2"
HALF = Terms(participation=0.5)
SILENT = private(noise=0.0)


def trained(
    clients: Sequence[Client],
    terms: Terms = EVERYONE,
    schedule: Schedule = OPEN,
    checkpoint: Checkpoint | None = None,
) -> tuple[Trees, Rounds]:
    model = sapling(schedule)
    rounds = run(model, clients, schedule, HOW, seed=3, terms=terms, checkpoint=checkpoint)
    return model, rounds


def wild(outcome: float) -> list[Client]:
    """The sample, with one client whose records all have this outcome."""
    clients = banks(SIZES)
    clients[2] = replace(clients[2], target=torch.full((SIZES[2],), outcome))
    return clients


def others() -> list[Client]:
    return [client for client in banks(SIZES) if client.name != WILD]


def test_the_usual_terms_change_nothing() -> None:
    model = sapling()
    run(model, banks(SIZES), OPEN, HOW)
    for terms in (EVERYONE, Terms(longest=1e9, times_median=1e9)):
        again, rounds = trained(banks(SIZES), terms)
        assert torch.allclose(again.value, model.value, rtol=0, atol=1e-12)
        assert rounds.conduct == {}
        assert [point["clients"] for point in rounds.history] == [4.0] * OPEN.rounds


def test_those_drawn_alone_make_a_round_of_trees() -> None:
    """A single round by half of the clients is that round of a job of these clients."""
    one = replace(OPEN, rounds=1)
    found, rounds = trained(banks(SIZES), HALF, one)
    ordered = sorted(banks(SIZES), key=lambda client: client.records)
    missing = call(HALF, ordered, 1, 3)
    assert list(missing.values()) == [NOT_DRAWN] * 2
    expected, _ = trained([c for n, c in enumerate(ordered) if n not in missing], EVERYONE, one)
    assert torch.allclose(found.value, expected.value, rtol=0, atol=1e-12)
    assert rounds.conduct == {}
    assert rounds.history[0]["clients"] == 2.0


def test_no_outcome_of_a_client_that_is_not_drawn_is_looked_at() -> None:
    one = replace(OPEN, rounds=1)
    ordered = sorted(banks(SIZES), key=lambda client: client.records)
    away = {ordered[place].name for place in call(HALF, ordered, 1, 3)}
    spoilt = [
        replace(c, target=torch.full_like(c.target, torch.nan)) if c.name in away else c
        for c in ordered
    ]
    (first, _), (second, told) = (trained(clients, HALF, one) for clients in (ordered, spoilt))
    assert torch.equal(first.value, second.value)
    assert told.conduct == {}


@pytest.mark.parametrize("outcome", [math.nan, math.inf])
def test_a_client_whose_sums_are_not_finite_is_excluded_and_reported(outcome: float) -> None:
    found, rounds = trained(wild(outcome))
    assert rounds.conduct == {WILD: {NOT_FINITE: OPEN.rounds}}
    assert [point["clients"] for point in rounds.history] == [3.0] * OPEN.rounds
    expected, _ = trained(others())
    assert torch.allclose(found.value, expected.value, rtol=0, atol=1e-12)


@pytest.mark.parametrize("terms", [Terms(times_median=4.0), Terms(longest=3.0)])
def test_outsized_sums_are_excluded_and_reported(terms: Terms) -> None:
    found, rounds = trained(wild(1e4), terms)
    assert rounds.conduct == {WILD: {TOO_LONG: OPEN.rounds}}
    expected, _ = trained(others(), terms)
    assert torch.allclose(found.value, expected.value, rtol=0, atol=1e-12)


def test_outsized_sums_are_shortened_to_the_public_bound_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    longest, shown = 0.5, list[Floats]()
    real = boosting.Boosting.values

    def seen(self: boosting.Boosting, told: Floats, schedule: Schedule) -> Floats:
        shown.append(told)
        return real(self, told, schedule)

    monkeypatch.setattr(boosting.Boosting, "values", seen)
    _, rounds = trained(wild(1e4), Terms(longest=longest, beyond="clip"))
    assert rounds.conduct[WILD] == {CLIPPED: OPEN.rounds}
    assert {told.shape[0] for told in shown} == {4}
    for told in shown:
        ordered = sorted(banks(SIZES), key=lambda client: client.records)
        sizes = np.array([client.records for client in ordered])
        lengths = np.linalg.norm(told.reshape(4, -1), axis=1) / sizes
        assert lengths.max() <= longest * (1 + 1e-6)


def test_exact_sums_of_true_records_are_within_one_a_tree() -> None:
    """So that a public bound can be chosen without a look at any record."""
    _, rounds = trained(banks(SIZES), Terms(longest=1.0 + OPEN.local_steps**0.5))
    assert rounds.conduct == {}


def test_small_clients_are_not_excluded_for_the_noise_they_must_add() -> None:
    clients = [
        replace(empty(client), records=records)
        for client, records in zip(banks(SIZES), (1e4, 1e4, 1e4, 10.0), strict=True)
    ]
    _, rounds = trained(clients, Terms(times_median=3.0), private(noise=2.0))
    assert rounds.conduct == {}


def test_late_sums_count_nothing_and_are_reported_by_client() -> None:
    _, rounds = trained(banks(SIZES), Terms(dropout=0.3))
    late = sum(said[NO_ANSWER] for said in rounds.conduct.values())
    assert sum(point["clients"] for point in rounds.history) == 4 * OPEN.rounds - late
    assert late > 0


@pytest.mark.parametrize("schedule", [OPEN, private()], ids=["open", "private"])
def test_all_clients_gone_in_a_round_is_one_line(schedule: Schedule) -> None:
    said = r"^round 1, trees: found 0 of 4 clients' updates that count \(4 too long\), expected at"
    with pytest.raises(Interrupted, match=said) as caught:
        trained(banks(SIZES), Terms(longest=1e-12), schedule)
    assert "\n" not in str(caught.value)


def test_clients_that_count_the_same_are_refused() -> None:
    with pytest.raises(InputError, match="weights: found equal, expected size"):
        trained(banks(SIZES), Terms("equal"))


def test_whoever_is_drawn_adds_noise_whether_the_sums_count_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noised: list[tuple[int, ...]] = []
    real = leaves.released

    def counted(sums: Floats, schedule: Schedule) -> Floats:
        noised.append(sums.shape)
        return real(sums, schedule)

    monkeypatch.setattr(boosting, "released", counted)
    trained(banks(SIZES), Terms(dropout=0.2, times_median=1.2), private())
    assert noised == [(4, OPEN.local_steps, 8, 2)] * OPEN.rounds
    noised.clear()
    trained(banks(SIZES), HALF, private())
    assert noised == [(2, OPEN.local_steps, 8, 2)] * OPEN.rounds


def test_who_was_late_is_charged_like_everybody(tmp_path: Path) -> None:
    """Events are the plan's; it knows nothing of the terms, and trees have nothing beside it."""
    plan = private()
    for terms in (EVERYONE, Terms(participation=0.5, dropout=0.1)):
        assert trained(banks(SIZES), terms, plan)[0].value.isfinite().all()
        (event,) = plan.events()
        assert event["count"] == plan.steps
    assert not {"participation", "dropout"} & set(PrivacyPlan.__dataclass_fields__)


def test_a_record_that_is_not_finite_does_not_give_itself_away_under_a_plan() -> None:
    """Its client's sums are those without it, and no reason to leave the client out."""
    clients = banks(SIZES)
    spoilt = clients[0].target.clone()
    spoilt[7] = torch.nan
    with_it = [replace(clients[0], target=spoilt), *clients[1:]]
    kept = torch.arange(SIZES[0]) != 7
    bank = replace(clients[0], features=clients[0].features[kept], target=clients[0].target[kept])
    found, rounds = trained(with_it, schedule=SILENT)
    assert rounds.conduct == {}
    expected, _ = trained([bank, *clients[1:]], schedule=SILENT)
    assert torch.allclose(found.value, expected.value, rtol=0, atol=1e-12)


def test_a_killed_run_on_such_terms_ends_the_same(tmp_path: Path) -> None:
    terms = Terms(participation=0.75, dropout=0.1, times_median=2.0, beyond="clip")
    whole, told = trained(banks(SIZES), terms)
    found: list[Rounds] = []

    def attempt(checkpoint: Checkpoint) -> Trees:
        model, rounds = trained(banks(SIZES), terms, checkpoint=checkpoint)
        found.append(rounds)
        return model

    ends = kills(attempt, tmp_path)
    assert all(same(end.state_dict(), whole.state_dict()) for end in ends)
    assert all((r.history, r.conduct) == (told.history, told.conduct) for r in found)


def test_another_draw_of_clients_does_not_go_on_with_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    first, _ = trained(banks(SIZES), HALF, checkpoint=Checkpoint(path))
    second, _ = trained(banks(SIZES), EVERYONE, checkpoint=Checkpoint(path))
    assert not torch.allclose(first.value, second.value)


def test_trees_and_nets_draw_the_same_clients() -> None:
    late = Terms(dropout=0.3)
    _, trees = trained(banks(SIZES), late)
    net = torch.nn.Sequential(torch.nn.Linear(4, 1))
    nets = train_net(net, banks(SIZES), OPEN, FedAvg(0.0), seed=3, terms=late)
    assert trees.conduct == nets.conduct
