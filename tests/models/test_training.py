"""The fit loop keeps the best weights, stops in time and leaves frozen parts in eval."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from models.training import fit


def _batches(_: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=generator)
    yield from ((x[i : i + 16], x[i : i + 16].sum(1, keepdim=True)) for i in range(0, 64, 16))


def _loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]), batch[1])


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(4, 1)


def test_best_weights_on_validation_are_restored() -> None:
    model, seen = _model(), []
    scores = iter([0.1, 0.9, 0.5, 0.4])

    def validate(model: nn.Module) -> float:
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return next(scores)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, _batches, _loss, validate, optimizer, epochs=4, patience=9)
    assert history.best_epoch == 2
    assert history.best == 0.9
    assert all(torch.equal(v, seen[1][k]) for k, v in model.state_dict().items())


def test_training_stops_when_validation_no_longer_improves() -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, _batches, _loss, lambda _: 0.0, optimizer, epochs=50, patience=3)
    assert history.epochs == 4


def test_loss_falls() -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = fit(
        model, _batches, _loss, lambda m: -float(_loss(m, next(_batches(0)))), optimizer, 20, 20
    )
    assert history.history[-1]["loss"] < 0.1 * history.history[0]["loss"]


def test_part_that_was_in_eval_is_in_eval_again_after_validation() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 1))
    model.train()
    model[0].eval()
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.01)
    fit(model, _batches, _loss, lambda _: 0.0, optimizer, epochs=2, patience=5)
    assert not model[0].training
    assert model[1].training
    assert torch.equal(model[0].get_buffer("running_mean"), torch.zeros(4))


def test_diverging_training_says_so() -> None:
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e20)
    with pytest.raises(FloatingPointError, match="learning rate"):
        fit(model, _batches, _loss, lambda _: 0.0, optimizer, epochs=20, patience=20)
