"""Federated boosting: Newton's trees without noise, the plan's promises with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from domains.errors import InputError
from domains.metrics import auroc
from models.checkpoint import Checkpoint
from models.credit import logits
from models.federated import Client
from models.trees import Boosting, Trees, build, from_state, run
from privacy.plan import PrivacyPlan, Schedule, calibrate
from tests.models.interrupted import Fatal, Killed, kills, same
from tests.models.trees.sample_trees import (
    ENCODER,
    HOW,
    OPEN,
    banks,
    empty,
    grown,
    private,
    sapling,
)

SILENT = private(noise=0.0)


def _logits(model: Trees, clients: list[Client]) -> np.ndarray:
    return np.concatenate([logits(model, client.features.numpy()) for client in clients])


def test_with_no_noise_and_one_client_leaves_equal_newtons_by_hand() -> None:
    """Two trees, one after the other, record by record."""
    schedule, how = Schedule(2, 1, 1.0), Boosting(0.5, ridge=2.0)
    bank, model = banks([300])[0], build(ENCODER, 2, 2, 2)
    run(model, [bank], schedule, how)
    codes, y, f = bank.features.numpy().astype(int), bank.target.numpy(), np.zeros(300)
    for tree in range(2):
        first, second = model.feature[tree].tolist()
        right = model.right[tree].numpy()
        leaf = np.array([2 * right[0, row[first]] + right[1, row[second]] for row in codes])
        p = 1 / (1 + np.exp(-f))
        for number in range(4):
            inside = leaf == number
            gradient, curvature = (p - y)[inside].sum(), (p * (1 - p))[inside].sum()
            by_hand = -gradient / (curvature + 2.0)
            assert float(model.value[tree, number]) == pytest.approx(0.5 * by_hand, abs=1e-9)
            f[inside] += 0.5 * by_hand
    assert _logits(model, [bank]) == pytest.approx(f, abs=1e-9)


def test_permuting_clients_changes_nothing() -> None:
    first, second = grown(banks()), grown(banks()[::-1])
    assert same(first.state_dict(), second.state_dict())


def test_splitting_one_clients_records_over_two_changes_nothing_without_noise() -> None:
    whole = banks([400, 100])
    bank, other = whole
    parts = [
        Client("a", bank.features[:130], bank.target[:130], 130.0),
        Client("b", bank.features[130:], bank.target[130:], 270.0),
    ]
    first, second = grown(whole), grown([*parts, other])
    assert torch.allclose(first.value, second.value, atol=1e-9)


def test_a_client_without_records_changes_nothing_without_noise() -> None:
    clients = banks()
    more = [*clients, replace(empty(clients[0]), name="nobody")]
    assert torch.allclose(grown(clients).value, grown(more).value, atol=1e-9)


def test_a_plan_without_noise_is_no_privacy() -> None:
    assert torch.allclose(grown(banks(), SILENT).value, grown(banks()).value, atol=1e-9)


def test_the_model_says_what_training_believed() -> None:
    """Momentum counts earlier trees more; the model's leaves hold that."""
    clients, model, step = banks(), sapling(), 0
    run(model, clients, OPEN, HOW)
    halves = []
    for rounds in (3, 6):
        part = sapling(replace(OPEN, rounds=rounds))
        run(part, clients, replace(OPEN, rounds=rounds), HOW)
        halves.append(part)
    one = _logits(halves[1], clients)
    assert np.array_equal(one, _logits(model, clients))
    velocity, believed = np.zeros(len(one)), np.zeros(len(one))
    plain = [value / HOW.weight(OPEN.rounds - t // 4) for t, value in enumerate(model.value)]
    for _ in range(OPEN.rounds):
        added = np.zeros(len(one))
        for tree in range(step, step + 4):
            leaf = np.concatenate(
                [model.splits.leaf(tree, c.features.numpy().T.astype(np.int16)) for c in clients]
            )
            added += plain[tree].numpy()[leaf]
        velocity = HOW.momentum * velocity + HOW.learning_rate * added
        believed, step = believed + velocity, step + 4
    assert one == pytest.approx(believed, abs=1e-8)


@pytest.mark.parametrize("interaction", [1, 2])
def test_it_learns(interaction: int) -> None:
    schedule = Schedule(20, 8, 1.0)
    clients, model = banks([900, 300]), build(ENCODER, 160, 3, interaction)
    run(model, clients, schedule, HOW)
    y = np.concatenate([client.target.numpy() for client in clients])
    assert auroc(y, _logits(model, clients)) > 0.8


def test_charged_events_equal_trees() -> None:
    plan = calibrate(3.0, 1e-5, rounds=6, local_steps=4, sampling_rate=1.0)
    model = sapling(plan)
    run(model, banks(), plan, HOW)
    (event,) = plan.events()
    assert event == {"kind": "gaussian", "sigma": plan.noise_multiplier, "count": 24}
    assert event["count"] == model.splits.trees
    (again,) = plan.round_events(1)
    assert again["count"] == 4


def test_two_private_runs_differ_and_no_seed_tells_their_noise() -> None:
    first, second = grown(banks(), private()), grown(banks(), private())
    assert torch.equal(first.feature, second.feature)
    assert not torch.allclose(first.value, second.value)


def test_records_may_not_be_sampled_and_trees_are_as_many_as_steps() -> None:
    with pytest.raises(InputError, match=r"sampling_rate: found 0\.5, expected 1"):
        run(sapling(), banks(), replace(OPEN, sampling_rate=0.5), HOW)
    with pytest.raises(InputError, match="the model has 24, the schedule 28 steps"):
        run(sapling(), banks(), replace(OPEN, rounds=7), HOW)


def test_a_plan_clips_to_no_more_than_a_record_can_add() -> None:
    with pytest.raises(InputError, match=r"clip_norm: found 1\.5, expected above 0 and at most 1"):
        grown(banks(), private(clip_norm=1.5))


def test_packed_and_loaded_trees_say_the_same() -> None:
    model = grown(banks())
    again = from_state(model.state_dict())
    assert np.array_equal(_logits(model, banks()), _logits(again, banks()))


def test_a_record_is_answered_by_itself() -> None:
    model, codes = grown(banks()), banks()[0].features.numpy()
    alone = np.array([logits(model, codes[row : row + 1])[0] for row in range(40)])
    assert np.array_equal(alone, logits(model, codes)[:40])


def _run(
    checkpoint: Checkpoint | None, schedule: Schedule = OPEN, lost: list[int] | None = None
) -> Trees:
    model = sapling(schedule)
    before = None if lost is None else lost.append
    run(model, banks(), schedule, HOW, checkpoint=checkpoint, before_training=before)
    return model


@pytest.mark.parametrize("schedule", [OPEN, SILENT], ids=["open", "silent"])
def test_a_run_killed_after_any_round_ends_the_same(schedule: Schedule, tmp_path: Path) -> None:
    whole = _run(None, schedule)
    ends = kills(lambda checkpoint: _run(checkpoint, schedule, []), tmp_path)
    assert len(ends) == OPEN.rounds + isinstance(schedule, PrivacyPlan)
    assert all(same(end.state_dict(), whole.state_dict()) for end in ends)


def test_rounds_on_disk_are_not_noised_again_and_a_lost_one_is_charged_again(
    tmp_path: Path,
) -> None:
    path, lost = tmp_path / "a.safetensors", list[int]()
    with pytest.raises(Killed):
        _run(Fatal(path, [4]), private(), lost)
    assert lost == []
    found = Checkpoint(path).of(*_belongs()).load()
    assert found is not None
    kept = found[0]["leaves"][: 3 * OPEN.local_steps].clone()
    model = _run(Checkpoint(path), private(), lost)
    assert lost == [1]
    weights = [HOW.weight(OPEN.rounds - t // 4) / 4 for t in range(len(kept))]
    assert torch.allclose(model.value[: len(kept)], kept * torch.tensor(weights)[:, None])


def _belongs() -> tuple[object, ...]:
    from models.federated.clients import in_order
    from models.federated.terms import EVERYONE
    from models.trees.boosting import _described

    return *_described(sapling(), in_order(banks()), private(), HOW), 0, EVERYONE


def test_a_finished_private_run_charges_and_noises_no_more(tmp_path: Path) -> None:
    checkpoint, lost = Checkpoint(tmp_path / "a.safetensors"), list[int]()
    first, second = (_run(checkpoint, private(), lost) for _ in range(2))
    assert same(first.state_dict(), second.state_dict())
    assert lost == []


def test_a_damaged_checkpoint_has_every_round_charged_again(tmp_path: Path) -> None:
    path, lost = tmp_path / "a.safetensors", list[int]()
    with pytest.raises(Killed):
        _run(Fatal(path, [3]), private(), lost)
    path.write_bytes(b"damaged")
    _run(Checkpoint(path), private(), lost)
    assert lost == [OPEN.rounds]


def test_a_refused_charge_trains_no_round(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(Killed):
        _run(Fatal(path, [2]), private(), [])
    before = path.read_bytes()

    def refuse(rounds: int) -> None:
        raise InputError(f"{rounds} rounds refused")

    with pytest.raises(InputError, match="1 rounds refused"):
        run(
            sapling(),
            banks(),
            private(),
            HOW,
            checkpoint=Checkpoint(path),
            before_training=refuse,
        )
    assert path.read_bytes() == before
