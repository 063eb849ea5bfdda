"""Encoders: their weights fit exactly, frozen means constant, nothing is unpickled."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from domains.errors import InputError
from domains.sources import fetch
from models.imaging.backbones import (
    Backbone,
    Classifier,
    build,
    load_imagenet,
    load_weights,
    settle,
)

NAMES = ("efficientnet-lite0", "densenet121")


def _pixels(count: int, size: int = 32) -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(0, 255, (count, 3, size, size)).astype(np.float32))


def _same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_features_have_their_length_and_blocks_cover_every_weight(name: str) -> None:
    backbone = build(name, 32, seed=0)
    assert backbone(_pixels(2)).shape == (2, backbone.feature_dim)
    in_blocks = {id(p) for block in backbone.blocks for m in block for p in m.parameters()}
    assert in_blocks == {id(p) for p in backbone.parameters()}


def test_a_seed_fixes_random_weights_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    assert _same(build("densenet121", 32, seed=3), build("densenet121", 32, seed=3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_published_weights_fit_exactly_and_see() -> None:
    file = fetch("efficientnet-lite0")
    backbone = load_imagenet(build("efficientnet-lite0", 64), file)
    published = torch.load(file, weights_only=True)
    own = dict(backbone.net.state_dict())
    assert torch.equal(own["_blocks.5.11._bn0.weight"], published["_blocks.11._bn0.weight"])
    assert len(own) == len(published) - 2  # all but the classification layer
    spread = backbone(_pixels(8, 64)).std(dim=0)
    assert (spread > 1e-3).float().mean() > 0.25


def test_the_published_file_also_loads_as_a_users_own() -> None:
    file = fetch("efficientnet-lite0")
    mapped = load_imagenet(build("efficientnet-lite0", 32), file)
    assert _same(mapped, load_weights(build("efficientnet-lite0", 32), file))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_saved_weights_come_back(tmp_path: Path, suffix: str) -> None:
    backbone, file = build("densenet121", 32, seed=1), tmp_path / f"w.{suffix}"
    state = {n: t.contiguous() for n, t in backbone.state_dict().items()}
    save_file(state, file) if suffix == "safetensors" else torch.save(state, file)
    assert _same(backbone, load_weights(build("densenet121", 32, seed=2), file))


def test_weights_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    state = dict(build("densenet121", 32).net.state_dict())
    state.pop("features.conv0.weight")
    state["more"] = torch.zeros(1)
    state["features.norm0.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"1 tensors missing, 1 left over, 1 of another shape"):
        load_weights(build("densenet121", 32), tmp_path / "w.pth")


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(InputError, match="pickle that builds objects is refused"):
        load_weights(build("densenet121", 32), tmp_path / "module.pt")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_and_missing_weights_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such weights file"):
        load_weights(build("densenet121", 32), tmp_path / name)
    (tmp_path / name).write_bytes(b"damaged" * 50)
    with pytest.raises(InputError, match=r"damaged|not a plain state dict"):
        load_weights(build("densenet121", 32), tmp_path / name)


def test_densenet_has_no_imagenet_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ImageNet weights of densenet121"):
        load_imagenet(build("densenet121", 32), tmp_path)


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
