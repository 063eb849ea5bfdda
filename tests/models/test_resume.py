"""A training that was killed anywhere and resumed ends as the one that was not, bit by bit."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from domains.healthcare.cohort.features import fit_encoder
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.patients import read_cohort
from models.checkpoint import Checkpoint
from models.credit import build as build_credit
from models.credit import train_centrally
from models.multitask.learning import Recipe, train
from models.multitask.masked import Records
from models.training import fit
from tests.domains.sample_patients import OUTCOMES, sample_patients
from tests.models.interrupted import Fatal, Killed, kills, same

End = tuple[dict[str, Tensor], Any]


def _batches(epoch: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(epoch)
    yield from torch.randn(96, 4, generator=generator).split(32)


def _loss(model: nn.Module, batch: Tensor) -> Tensor:
    return nn.functional.mse_loss(model(batch), batch.sum(1, keepdim=True))


def _fitted(
    checkpoint: Checkpoint | None, kind: str = "AdamW", patience: int = 9, epochs: int = 6
) -> End:
    """A net with dropout, so that torch's generator matters, and BatchNorm, which has buffers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.4), nn.Linear(8, 1))
    held = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    made = {
        "AdamW": lambda: torch.optim.AdamW(model.parameters(), lr=0.05),
        "SGD": lambda: torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        "plain": lambda: torch.optim.SGD(model.parameters(), lr=0.05),
    }
    history = fit(
        model,
        _batches,
        _loss,
        lambda m: -float(_loss(m, held)),
        made[kind](),
        epochs,
        patience,
        checkpoint=checkpoint,
    )
    after = {"draw": torch.rand(3)}  # what is trained next must not notice either
    return {**model.state_dict(), **after}, (history.best_epoch, history.best, history.history)


@pytest.mark.parametrize("kind", ["AdamW", "SGD", "plain"])
def test_a_fit_killed_after_any_epoch(kind: str, tmp_path: Path) -> None:
    whole = _fitted(None, kind)
    ends = kills(lambda checkpoint: _fitted(checkpoint, kind), tmp_path)
    assert len(ends) == 6
    assert all(same(end[0], whole[0]) and end[1] == whole[1] for end in ends)


def test_a_fit_that_stopped_early(tmp_path: Path) -> None:
    whole = _fitted(None, "plain", patience=1, epochs=60)
    ends = kills(lambda checkpoint: _fitted(checkpoint, "plain", 1, 60), tmp_path)
    assert len(ends) == len(whole[1][2]) < 60
    assert all(same(end[0], whole[0]) and end[1] == whole[1] for end in ends)


def test_a_fit_killed_again_and_again(tmp_path: Path) -> None:
    whole, end = _fitted(None), None
    while end is None:
        try:
            end = _fitted(Fatal(tmp_path / "a.safetensors", [2]))
        except Killed:
            torch.manual_seed(9)
    assert same(end[0], whole[0])


def test_a_fit_killed_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, path = nn.Linear(4, 1), tmp_path / "a.safetensors"

    def broken(epoch: int) -> Iterator[Tensor]:
        for number, batch in enumerate(_batches(epoch)):
            if (epoch, number) == (4, 1):
                raise Killed
            yield batch

    def run(batches: Any) -> list[dict[str, float]]:
        checkpoint = Checkpoint(path, pause=0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        score = lambda m: -float(_loss(m, next(_batches(0))))  # noqa: E731
        return fit(model, batches, _loss, score, optimizer, 6, 9, checkpoint=checkpoint).history

    with pytest.raises(Killed):
        run(broken)
    resumed = run(_batches)
    path.unlink()
    torch.manual_seed(0)
    with torch.no_grad():
        model.load_state_dict(nn.Linear(4, 1).state_dict())
    assert resumed == run(_batches)


def test_a_fit_that_had_ended_trains_no_more_and_tells_its_seconds(tmp_path: Path) -> None:
    model = nn.Linear(4, 1)

    def never(_: int) -> Iterator[Tensor]:
        raise AssertionError("it trains again")

    def run(batches: Any) -> Any:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        checkpoint = Checkpoint(tmp_path / "a.safetensors")
        return fit(model, batches, _loss, lambda m: 0.0, optimizer, 3, 9, checkpoint=checkpoint)

    first, best = run(_batches), model.weight.detach().clone()
    with torch.no_grad():
        model.weight.zero_()
    second = run(never)
    assert torch.equal(model.weight, best)
    assert second == replace(first, earlier=first.seconds)


def test_a_damaged_checkpoint_costs_time_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(Killed):
        _fitted(Fatal(path, [3]))
    path.write_bytes(path.read_bytes()[:-100])
    assert same(_fitted(Checkpoint(path))[0], _fitted(None)[0])


@pytest.mark.parametrize(
    ("sharing", "balancing", "trunk"),
    [("hard", "equal", "tabm"), ("none", "equal", "mlp"), ("hard", "uncertainty", "mlp")],
)
def test_many_outcomes_in_one_network_or_several(
    sharing: str, balancing: str, trunk: str, tmp_path: Path
) -> None:
    cohort = read_cohort(sample_patients(), OUTCOMES, "f", patient="id")
    codecs = {o.name: fit_codec(o, cohort.targets.values[o.name]) for o in OUTCOMES}
    y = {name: codec.encode(cohort.targets.values[name]) for name, codec in codecs.items()}
    records = Records(fit_encoder(cohort.features).encode(cohort.features), y)
    recipe = Recipe(sharing, 8, 3, 3, seed=1, balancing=balancing, trunk=trunk, members=2)

    def trained(checkpoint: Checkpoint | None) -> End:
        learned = train(recipe, codecs, records, records, checkpoint=checkpoint)
        told = [each.history for each in learned.histories]
        return {**learned.network.state_dict(), "cosines": torch.tensor(learned.cosines)}, told

    whole = trained(None)
    ends = kills(trained, tmp_path)
    assert len(ends) == (3 if sharing == "hard" else 3 * len(OUTCOMES))
    assert all(same(end[0], whole[0]) and end[1] == whole[1] for end in ends)


def test_a_central_training(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    codes = draws.normal(size=(300, 5)).astype(np.float32)
    y = (codes[:, 0] > 0).astype(np.float32)

    def trained(checkpoint: Checkpoint | None) -> dict[str, Tensor]:
        model = build_credit(5, 4)
        train_centrally(model, codes, y, 0, checkpoint)
        return model.state_dict()

    whole, ends = trained(None), kills(trained, tmp_path)
    assert len(ends) == 10
    assert all(same(end, whole) for end in ends)
