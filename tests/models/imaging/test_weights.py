"""Weights: published ones fit exactly, others in full or not at all, and nothing is unpickled."""

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from domains.errors import InputError
from domains.sources import fetch
from models.imaging.backbones import Classifier, build
from models.imaging.weights import fitted_stem, load_imagenet, load_weights


def _pixels(count: int, size: int, channels: int = 3) -> Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform(0, 255, (count, channels, size, size)).astype(np.float32))


def _same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


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
    with pytest.raises(InputError) as refused:
        load_weights(build("densenet121", 32), tmp_path / "w.pth")
    said = str(refused.value)
    assert "\n" not in said
    assert "1 of 725 tensors missing (such as features.conv0.weight)" in said
    assert "1 left over (such as more)" in said
    assert "1 of another shape (such as features.norm0.bias: (3,), expected (64,))" in said


@pytest.mark.parametrize("how", ["missing", "infinite", "whole", "negative"])
def test_weights_that_would_make_noise_of_every_image_are_refused(how: str, tmp_path: Path) -> None:
    state = {n: t.contiguous() for n, t in build("resnet18", 32, seed=1).net.state_dict().items()}
    if how == "whole":
        state = {name: tensor.to(torch.int8) for name, tensor in state.items()}
    elif how == "negative":
        state["bn1.running_var"] = -torch.ones(64)
    else:
        spoilt = state["layer1.0.conv1.weight"].clone()
        spoilt[0, 0, 0, 0] = float("nan" if how == "missing" else "inf")
        state["layer1.0.conv1.weight"] = spoilt
    save_file(state, tmp_path / "spoilt.safetensors")
    with pytest.raises(InputError, match=r"of 120 tensors hold other than finite real .*such as"):
        load_weights(build("resnet18", 32), tmp_path / "spoilt.safetensors")


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


def test_a_grey_image_is_read_as_the_same_picture_in_three_equal_channels() -> None:
    file = fetch("efficientnet-lite0")
    colour = load_imagenet(build("efficientnet-lite0", 64), file)
    grey = load_imagenet(build("efficientnet-lite0", 64, channels=1), file)
    pixels = _pixels(4, 64, 1)
    with torch.inference_mode():
        assert torch.allclose(grey(pixels), colour(pixels.repeat(1, 3, 1, 1)), atol=1e-3)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_stem_for_other_channels_keeps_the_sum_of_its_weights(channels: int) -> None:
    weight = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    fitted = fitted_stem(weight, channels)
    assert fitted.shape == (8, channels, 3, 3)
    assert torch.allclose(fitted.sum(dim=1), weight.sum(dim=1), atol=1e-5)
    assert fitted is weight if channels == 3 else True


def test_the_base_of_a_saved_classifier_is_taken_and_its_head_left(tmp_path: Path) -> None:
    net = Classifier(build("resnet18", 32, seed=3), 5)
    save_file({n: t.contiguous() for n, t in net.state_dict().items()}, tmp_path / "w.safetensors")
    found = load_weights(build("resnet18", 32), tmp_path / "w.safetensors")
    assert _same(net.backbone, found)


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_files_named_as_torchvision_names_them_fit(name: str, tmp_path: Path) -> None:
    backbone = build(name, 32, seed=4)
    as_published = {
        re.sub(r"(denselayer\d+)\.layers\.", r"\1.", key): tensor
        for key, tensor in backbone.net.state_dict().items()
        if not key.endswith("num_batches_tracked")  # older files have none
    }
    as_published |= {"fc.weight": torch.zeros(1000, 512), "classifier.bias": torch.zeros(1000)}
    torch.save(as_published, tmp_path / "w.pth")
    assert _same(backbone, load_weights(build(name, 32), tmp_path / "w.pth"))


@pytest.mark.parametrize(
    "state",
    [
        {"state_dict": {"conv1.weight": torch.zeros(1)}, "epoch": 3},
        {0: torch.zeros(1)},
        {"conv1.weight": torch.zeros(2, 2).to_sparse()},
        {"conv1.weight": torch.zeros(2, device="meta")},
    ],
    ids=["checkpoint", "numbers for names", "sparse", "without values"],
)
def test_a_file_of_something_else_than_named_values_says_what_to_save(
    state: dict[Any, Any], tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"expected tensors by name .* save the state dict alone"):
        load_weights(build("resnet18", 32), tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["_blocks.5", "_blocks.x.weight", "_blocks.29._bn0.weight"])
def test_blocks_that_the_net_does_not_have_are_left_over(name: str, tmp_path: Path) -> None:
    torch.save({name: torch.zeros(1), "_blocks.0._bn1.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match=rf"left over \(such as {name}\)"):
        load_weights(build("efficientnet-lite0", 32), tmp_path / "w.pt")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_weights_damaged_anywhere_are_refused_or_read(kind: str, tmp_path: Path) -> None:
    backbone, file = build("resnet18", 32), tmp_path / f"w.{kind}"
    state = {n: t.contiguous() for n, t in backbone.net.state_dict().items()}
    if kind == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind == "zip")
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for most in (2_000, 20_000, len(whole)) * 4:
        damaged = bytearray(whole)
        for at in rng.integers(0, most, 4):
            damaged[at] ^= int(rng.integers(1, 256))
        file.write_bytes(damaged[: most if most % 3 else len(whole)])
        with contextlib.suppress(InputError):
            load_weights(backbone, file)


def test_the_ending_of_a_weights_file_may_be_in_capitals(tmp_path: Path) -> None:
    backbone = build("resnet18", 32, seed=1)
    save_file(
        {n: t.contiguous() for n, t in backbone.net.state_dict().items()},
        tmp_path / "W.SAFETENSORS",
    )
    found = load_weights(build("resnet18", 32, seed=2), tmp_path / "W.SAFETENSORS")
    assert _same(backbone, found)
