"""What is quick in a trunk answers as its plain form does."""

from __future__ import annotations

import pytest
import torch
from tabm import LinearBatchEnsemble
from torch import nn

from models.multitask.shape import Shape
from models.multitask.trunk import Dropout, Layer, Trunk, heads

SIZES = {"a": 1, "time": 4, "b": 3, "c": 1}


def layer(init: str) -> Layer:
    torch.manual_seed(0)
    made = Layer(6, 5, k=4, scaling_init=init)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def gradients(of: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    return list(torch.autograd.grad(of(x).square().sum(), [x, *of.parameters()]))


@pytest.mark.parametrize("init", ["ones", "random-signs"])
def test_scales_on_the_weights_are_those_on_the_records(init: str) -> None:
    ours = layer(init)
    plain = LinearBatchEnsemble(6, 5, k=4, scaling_init="ones")
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(7, 4, 6)
    assert torch.allclose(ours(x), plain(x), atol=1e-6)
    for mine, theirs in zip(gradients(ours, x), gradients(plain, x), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize(("trunk", "members"), [("mlp", 1), ("tabm", 3)])
def test_heads_together_answer_as_each_alone(trunk: str, members: int) -> None:
    torch.manual_seed(0)
    made = heads(Shape(5, SIZES, 8, trunk, members, proportional=("time",)))
    x = torch.randn(6, members, 8)
    for together, own in zip(made(x), made, strict=True):
        assert torch.allclose(together, own(x), atol=1e-6)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_drops_its_share_at_every_place_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    out = Dropout(p)(torch.ones(40_000, 8))
    assert torch.allclose((out == 0).float().mean(dim=0), torch.full((8,), p), atol=0.01)
    assert out.mean().item() == pytest.approx(1.0, abs=0.01)
    assert len(out.unique()) == 2


def test_dropout_follows_torchs_generator_and_is_off_in_eval_mode() -> None:
    x, drop = torch.ones(13, 3), Dropout(0.5)
    torch.manual_seed(1)
    first, second = drop(x), drop(x)
    torch.manual_seed(1)
    assert torch.equal(drop(x), first)
    assert not torch.equal(first, second)
    assert torch.equal(drop.eval()(x), x)


def test_members_of_a_trunk_start_as_those_of_tabm() -> None:
    torch.manual_seed(0)
    made = Trunk(Shape(5, SIZES, 8, "tabm", 3, (0,)))
    first, *others = (layer for layer in made.modules() if isinstance(layer, Layer))
    assert set(first.r.unique().tolist()) == {-1.0, 1.0}
    assert all(torch.equal(layer.r, torch.ones_like(layer.r)) for layer in others)
    assert all(torch.equal(each.s, torch.ones_like(each.s)) for each in (first, *others))
