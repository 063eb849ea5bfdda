"""What outcomes share, and what of one outcome's learning reaches another."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn

from domains.errors import InputError
from models.multitask.named import SHARING, network, settings_of
from models.multitask.shape import Shape
from models.multitask.sharing.cross_stitch import CrossStitch
from models.multitask.sharing.mmoe import MixtureOfExperts
from models.multitask.sharing.soft import Soft
from models.multitask.trunk import TRUNKS, InPieces

SIZES = {"a": 1, "b": 3, "items": 2}


def shape(trunk: str = "mlp") -> Shape:
    return Shape(5, SIZES, 8, trunk, 3 if trunk == "tabm" else 1, (0, 2))


def reached(name: str, trunk: str, outcome: str) -> set[str]:
    """Parameters that one outcome's loss moves."""
    torch.manual_seed(0)
    made = network(name, shape(trunk)).eval()
    made(torch.randn(6, 5))[outcome].square().sum().backward()
    return {n for n, p in made.named_parameters() if p.grad is not None and p.grad.any()}


@pytest.mark.parametrize(("name", "trunk"), product(SHARING, TRUNKS))
def test_every_outcome_is_answered_by_every_member(name: str, trunk: str) -> None:
    made = network(name, shape(trunk))
    members = shape(trunk).members
    found = {each: tuple(out.shape) for each, out in made(torch.zeros(4, 5)).items()}
    assert found == {each: (4, members, size) for each, size in SIZES.items()}


@pytest.mark.parametrize(("name", "trunk"), product(SHARING, TRUNKS))
def test_shared_parameters_are_those_that_several_outcomes_move(name: str, trunk: str) -> None:
    torch.manual_seed(0)
    made = network(name, shape(trunk))
    named = {id(p): n for n, p in made.named_parameters()}
    told = {named[id(p)] for p in made.shared()}
    moved = [reached(name, trunk, outcome) for outcome in SIZES]
    several = {n for n in set().union(*moved) if sum(n in each for each in moved) > 1}
    assert several <= told
    assert all(any(n in each for each in moved) or "bias" in n or "r" in n for n in told)
    assert bool(told) == (name not in ("none", "soft"))


@pytest.mark.parametrize("name", SHARING)
def test_one_outcome_alone_shares_nothing(name: str) -> None:
    assert network(name, shape().of(("b",))).shared() == []


def test_trunks_far_apart_are_pulled_together_and_start_as_one() -> None:
    soft = Soft(shape(), tie=2.0)
    assert soft.penalty().item() == pytest.approx(0.0, abs=1e-9)
    first = next(soft.networks[0].get_submodule("trunk").parameters())
    with torch.no_grad():
        others = next(soft.networks[1].get_submodule("trunk").parameters())
        first.copy_(others + 3.0)
    # one of three trunks moved by 3: it is 2 from the mean, and the others 1 each
    assert soft.penalty().item() == pytest.approx(2.0 * first.numel() * (4 + 1 + 1), rel=1e-5)


def test_a_stitch_of_ones_own_alone_is_no_sharing() -> None:
    torch.manual_seed(0)
    made, x = CrossStitch(shape(), own=1.0).eval(), torch.randn(6, 5)
    before = made(x)
    for parameter in made.trunks[0].parameters():
        nn.init.constant_(parameter, 1.0)
    after = made(x)
    assert not torch.equal(before["a"], after["a"])
    assert torch.equal(before["b"], after["b"])


def test_a_gate_that_is_certain_leaves_one_expert() -> None:
    torch.manual_seed(0)
    made, x = MixtureOfExperts(shape(), experts=3).eval(), torch.randn(6, 5)
    with torch.no_grad():
        made.get_parameter("gates.0.weight").zero_()
        made.get_parameter("gates.0.bias").copy_(torch.tensor([0.0, 200.0, 0.0]))
    alone = made.get_submodule("heads.0")(made.get_submodule("experts.1")(x))
    assert torch.allclose(made(x)["a"], alone, atol=1e-6)


def test_members_differ_though_they_share_their_weights() -> None:
    torch.manual_seed(0)
    made = network("hard", shape("tabm")).eval()
    out = made(torch.randn(6, 5))["a"]
    assert not torch.allclose(out[:, 0], out[:, 1])
    plain = sum(p.numel() for p in network("hard", shape()).parameters())
    assert sum(p.numel() for p in made.parameters()) < shape("tabm").members * plain + 8 * 12 * 2


def test_numbers_in_pieces_are_told_apart_within_and_beyond_their_range() -> None:
    pieces = InPieces(Shape(2, SIZES, 8, "tabm", 2, (1,)))
    x = torch.tensor([[9.0, v] for v in (-5.0, -3.1, -0.4, 0.0, 0.4, 3.1, 5.0)])
    out = pieces(x)[:, 0]
    assert out.shape == (7, pieces.width)
    assert torch.equal(out[:, :2], x)
    assert out[3, 2:].sum().item() == pytest.approx(6.0, abs=1e-4)  # half of twelve
    assert (out[1:6, 2:].sum(dim=1).diff() > 0).all()


def test_unknown_sharing_and_settings_are_named() -> None:
    with pytest.raises(InputError, match="sharing: found 'sott', expected one of none, hard, soft"):
        network("sott", shape())
    with pytest.raises(InputError, match="tie: no setting of sharing mmoe, which has: experts"):
        network("mmoe", Shape(5, SIZES, 8, settings={"tie": 1.0}))
    assert settings_of("mmoe") == {"experts": 4}
