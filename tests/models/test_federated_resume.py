"""Rounds on disk are never noised again; those that are not are charged again before they are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from domains.errors import Refused
from models.checkpoint import Checkpoint
from models.credit import build
from models.federated import Client, FedAvg, Rounds, run
from privacy.plan import PrivacyPlan, Schedule
from tests.models.interrupted import Fatal, Killed, kills, same

OPEN = Schedule(rounds=5, local_steps=2, sampling_rate=0.5)
PRIVATE = PrivacyPlan(**vars(OPEN), epsilon=1.0, delta=1e-5, noise_multiplier=1.0, clip_norm=1.0)


class Watched(FedAvg):
    """Counts how many steps were noised, and is killed after one of them if told to."""

    def __init__(self, killed_at: int | None = None) -> None:
        super().__init__(0.3, momentum=0.5, averaged=0.6)
        self.stepped, self._killed_at = 0, killed_at

    def correct(self, *said: Any) -> list[Tensor]:
        self.stepped += 1
        if self.stepped == self._killed_at:
            raise Killed
        return super().correct(*said)


def _clients() -> list[Client]:
    generator = torch.Generator().manual_seed(4)
    made = []
    for number, rows in enumerate((40, 25)):
        x = torch.randn(rows, 5, generator=generator)
        made.append(Client(f"bank {number}", x, (x[:, 0] > 0).float(), float(rows)))
    return made


def _trained(
    checkpoint: Checkpoint | None,
    schedule: Schedule = OPEN,
    strategy: FedAvg | None = None,
    lost: list[int] | None = None,
) -> tuple[dict[str, Tensor], Rounds]:
    model = build(5, 4)
    rounds = run(
        model,
        _clients(),
        schedule,
        strategy or Watched(),
        checkpoint=checkpoint,
        before_training=None if lost is None else lost.append,
    )
    return model.state_dict(), rounds


def test_without_privacy_a_run_killed_after_any_round_ends_the_same(tmp_path: Path) -> None:
    whole = _trained(None)
    ends = kills(_trained, tmp_path)
    assert len(ends) == OPEN.rounds
    for state, rounds in ends:
        assert same(state, whole[0])
        assert rounds.history == whole[1].history


def test_a_private_run_without_noise_or_sampling_killed_after_any_round_ends_the_same(
    tmp_path: Path,
) -> None:
    silent = replace(PRIVATE, noise_multiplier=0.0, sampling_rate=1.0)
    whole = _trained(None, silent)
    ends = kills(lambda checkpoint: _trained(checkpoint, silent, lost=[]), tmp_path)
    assert len(ends) == OPEN.rounds + 1  # the first save comes before any round
    for state, rounds in ends:
        assert same(state, whole[0])
        assert rounds.history == whole[1].history


@pytest.mark.parametrize("killed_at", [1, 2, 4, 5, 9])
def test_without_privacy_a_run_killed_in_a_round_ends_the_same(
    killed_at: int, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path / "a.safetensors", pause=0)
    with pytest.raises(Killed):
        _trained(checkpoint, strategy=Watched(killed_at))
    torch.manual_seed(5)
    assert same(_trained(checkpoint)[0], _trained(None)[0])


def test_a_client_draws_its_records_whoever_else_takes_part() -> None:
    first, second = build(5, 4), build(5, 4)
    run(first, _clients(), replace(OPEN, rounds=1), FedAvg(0.3))
    run(second, _clients()[::-1], replace(OPEN, rounds=1), FedAvg(0.3))
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_another_seed_draws_other_records() -> None:
    models = [build(5, 4), build(5, 4)]
    for seed, model in enumerate(models):
        run(model, _clients(), OPEN, FedAvg(0.3), seed=seed)
    assert not same(models[0].state_dict(), models[1].state_dict())


@pytest.mark.parametrize("saves", range(1, OPEN.rounds + 2))
def test_a_private_run_keeps_every_round_whatever_the_pause(saves: int, tmp_path: Path) -> None:
    """The first save comes before any noise; then one a round, also between two that are due."""
    path, lost = tmp_path / "a.safetensors", list[int]()
    slow = Fatal(path, [saves])
    slow._pause = 1e6
    strategy = Watched()
    with pytest.raises(Killed):
        _trained(slow, PRIVATE, strategy, lost)
    assert strategy.stepped == 2 * (saves - 1)
    assert lost == []
    again = Watched()
    _, rounds = _trained(Checkpoint(path), PRIVATE, again, lost)
    assert again.stepped == 2 * (PRIVATE.rounds - (saves - 1))
    assert [point["round"] for point in rounds.history] == [1, 2, 3, 4, 5]
    assert lost == ([1] if saves <= PRIVATE.rounds else [])


def test_what_was_noised_is_never_more_than_the_plan_and_the_rounds_charged_again(
    tmp_path: Path,
) -> None:
    checkpoint, lost, trained = Checkpoint(tmp_path / "a.safetensors"), list[int](), 0
    for killed_at in (1, 2, 3, 5, 1, 4, 2, None):
        strategy = Watched(killed_at)
        try:
            _trained(checkpoint, PRIVATE, strategy, lost)
        except Killed:
            trained += strategy.stepped
            continue
        trained += strategy.stepped
        break
    assert trained <= 2 * (PRIVATE.rounds + sum(lost))
    assert lost == [1] * len(lost)


def test_a_refusal_noises_nothing_and_leaves_what_was_reached(tmp_path: Path) -> None:
    checkpoint, strategy = Checkpoint(tmp_path / "a.safetensors"), Watched()
    with pytest.raises(Killed):
        _trained(checkpoint, PRIVATE, Watched(killed_at=4))
    before = checkpoint.path.read_bytes()

    def refuse(_: int) -> None:
        raise Refused("the budget is spent")

    with pytest.raises(Refused):
        run(
            build(5, 4),
            _clients(),
            PRIVATE,
            strategy,
            checkpoint=checkpoint,
            before_training=refuse,
        )
    assert strategy.stepped == 0
    assert checkpoint.path.read_bytes() == before


def test_a_lost_checkpoint_has_every_round_charged_again_until_one_is_kept(tmp_path: Path) -> None:
    checkpoint, lost = Checkpoint(tmp_path / "a.safetensors"), list[int]()
    with pytest.raises(Killed):
        _trained(checkpoint, PRIVATE, Watched(killed_at=6))
    checkpoint.path.write_bytes(b"damaged")
    with pytest.raises(Killed):
        _trained(checkpoint, PRIVATE, Watched(killed_at=1), lost)
    _trained(checkpoint, PRIVATE, Watched(), lost)
    assert lost == [PRIVATE.rounds, 1]


def test_a_checkpoint_that_somebody_deletes_has_every_round_charged_again(tmp_path: Path) -> None:
    path, lost = tmp_path / "a.safetensors", list[int]()
    with pytest.raises(Killed):
        _trained(Checkpoint(path), PRIVATE, Watched(killed_at=3), lost)
    path.unlink()
    _trained(Checkpoint(path), PRIVATE, Watched(), lost)
    assert lost == [PRIVATE.rounds]


def test_a_finished_private_run_charges_and_trains_no_more(tmp_path: Path) -> None:
    checkpoint, lost = Checkpoint(tmp_path / "a.safetensors"), list[int]()
    first = _trained(checkpoint, PRIVATE, Watched(), lost)
    strategy = Watched()
    second = _trained(checkpoint, PRIVATE, strategy, lost)
    assert strategy.stepped == 0
    assert same(first[0], second[0])
    assert lost == []
    assert second[1] == first[1]


def test_a_checkpoint_of_another_strategy_or_plan_is_not_taken(tmp_path: Path) -> None:
    checkpoint, told = Checkpoint(tmp_path / "a.safetensors"), list[int]()
    _trained(checkpoint, OPEN)
    strategy = Watched()
    _trained(checkpoint, replace(OPEN, rounds=6), strategy, told)
    assert strategy.stepped == 12
