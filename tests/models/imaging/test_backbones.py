"""Encoders: blocks cover every weight, random ones see, frozen means constant."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.imaging.backbones import Backbone, Classifier, build, settle

NAMES = ("efficientnet-lite0", "densenet121", "resnet18")


def _pixels(count: int, channels: int = 3) -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(0, 255, (count, channels, 32, 32)).astype(np.float32))


def _same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_features_have_their_length_and_blocks_cover_every_weight(name: str, channels: int) -> None:
    backbone = build(name, 32, seed=0, channels=channels)
    assert backbone(_pixels(2, channels)).shape == (2, backbone.feature_dim)
    in_blocks = {id(p) for block in backbone.blocks for m in block for p in m.parameters()}
    assert in_blocks == {id(p) for p in backbone.parameters()}


def test_a_seed_fixes_random_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    assert _same(build("densenet121", 32, seed=3), build("densenet121", 32, seed=3))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_feature_maps_have_the_cells_that_they_are_said_to_have(name: str) -> None:
    backbone = build(name, 32, seed=0)
    for cell, place in backbone.maps.items():
        seen: list[int] = []
        module = backbone.net.get_submodule(place)
        hook = module.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.shape[2]))
        backbone(_pixels(1))
        hook.remove()
        assert seen == [32 // cell]


def test_settled_random_weights_see_and_keep_their_weights() -> None:
    backbone = build("efficientnet-lite0", 32, seed=0)
    weights = [p.clone() for p in backbone.parameters()]
    blind = backbone(_pixels(16)).std()
    settle(backbone, [_pixels(16)])
    assert blind < 1e-6 < 1e-2 < backbone(_pixels(16)).std()
    assert all(torch.equal(a, b) for a, b in zip(weights, backbone.parameters(), strict=True))
    assert not any(module.training for module in backbone.modules())


def test_a_classifier_in_training_keeps_frozen_layers_in_eval() -> None:
    net = Classifier(build("efficientnet-lite0", 32, seed=0), 2)
    backbone: Backbone = net.backbone
    for block in backbone.blocks[:-2]:
        for module in block:
            module.requires_grad_(False)
    net.train()
    norms = [
        [m for module in block for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
        for block in backbone.blocks
    ]
    assert not any(norm.training for block in norms[:-2] for norm in block)
    assert all(norm.training for block in norms[-2:] for norm in block)
    net.fixed_statistics = True
    net.train()
    assert not any(norm.training for block in norms for norm in block)
