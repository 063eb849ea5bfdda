"""Weights that a training starts from: published ones, a file of the user's own, another stem."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from domains.errors import InputError
from models.imaging.backbones import LITE0, Backbone

IMAGENET = frozenset({"efficientnet-lite0"})
"""Backbones whose ImageNet weights can be fetched (`domains.sources`)."""
_STEMS = frozenset({"_conv_stem.weight", "features.conv0.weight", "conv1.weight"})
_HEADS = ("_fc.", "fc.", "class_layers.out.", "classifier.", "head.")
_FLAT = re.compile(r"_blocks\.(\d{1,3})\.(.+)")
_DENSE = re.compile(r"(denselayer\d+)\.(norm|relu|conv)\.?([12])\.")


def load_imagenet(backbone: Backbone, file: Path) -> Backbone:
    """Load `domains.sources.fetch("efficientnet-lite0")`, every tensor under its new name.

    Raises:
        InputError: A tensor is missing, left over or of another shape.
    """
    if backbone.name not in IMAGENET:
        raise InputError(
            f"backbone: no ImageNet weights of {backbone.name} are within reach; "
            "give weights: (a file), base: (a registered model) or source: (a task to train on)"
        )
    return load_weights(backbone, file)


def load_weights(backbone: Backbone, file: Path) -> Backbone:
    """Load a user's weights: `.safetensors`, or a state dict that needs no unpickling of objects.

    Names are those of `Backbone.net`'s state dict, perhaps below `net.` or `backbone.net.`, or of
    the files published for EfficientNet-Lite0 and torchvision's DenseNet-121 and ResNet-18; a
    classification layer in the file is left out. A stem for another number of channels is fitted,
    see `fitted_stem`.

    Raises:
        InputError: Missing or damaged file, a pickle of objects, or tensors that do not fit or are
            not finite.
    """
    state = dict(_renamed({n: t for n, t in _bare(_read(file)) if not n.startswith(_HEADS)}))
    for name in _STEMS & state.keys():
        if state[name].ndim == 4 and state[name].shape[1]:
            state[name] = fitted_stem(state[name], backbone.channels)
    own = backbone.net.state_dict()
    # BatchNorm counts its batches; older files do not say, and nothing here asks.
    state = {n: t for n, t in own.items() if n.endswith("num_batches_tracked")} | state
    _check_fit(own, state, file, backbone.name)
    _check_values(own, state, file)
    backbone.net.load_state_dict(state)
    return backbone


def fitted_stem(weight: Tensor, channels: int) -> Tensor:
    """The first layer's weights for images of so many channels, at the same scale of its output.

    One grey channel meets the sum over the colours: the answer is that to the same picture in three
    equal channels, exactly so where the encoder normalises the colours alike. Several channels that
    are no colours share the mean, scaled to the same sum.

    Args:
        weight: (filters, colours, height, width).
        channels: Channels c of the images.

    Returns:
        (filters, c, height, width); `weight` itself where c is its number of colours.
    """
    colours = weight.shape[1]
    if colours == channels:
        return weight
    whole = weight.sum(dim=1, keepdim=True) / channels
    return whole.repeat(1, channels, 1, 1)


def _bare(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in state.items():
        yield name.removeprefix("module.").removeprefix("backbone.").removeprefix("net."), tensor


def _renamed(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Published names as MONAI's: blocks below their stage, dense layers below `layers`."""
    repeats = [int(code[1 : code.index("_")]) for code in LITE0]
    stack_of = [stack for stack, count in enumerate(repeats) for _ in range(count)]
    flat = any(found and not found[2][0].isdigit() for found in map(_FLAT.match, state))
    for name, tensor in state.items():
        found = _FLAT.match(name) if flat else None
        if found and int(found[1]) < len(stack_of):
            yield f"_blocks.{stack_of[int(found[1])]}.{found[1]}.{found[2]}", tensor
        else:
            yield _DENSE.sub(r"\1.layers.\2\3.", name), tensor


def check_there(file: Path) -> None:
    """Raise InputError unless there is such a file of weights, which may be read."""
    if not file.is_file():
        found = "a folder" if file.is_dir() else "no such weights file"
        raise InputError(f"{file}: {found}, expected a state dict (.safetensors, .pt or .pth)")
    if not os.access(file, os.R_OK):
        raise InputError(f"{file}: no permission to read it")


def _read(file: Path) -> dict[str, Tensor]:
    check_there(file)
    try:
        if file.suffix.lower() == ".safetensors":
            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a damaged archive makes torch raise anything
        # pickle.UnpicklingError, by name: nothing here imports pickle
        if type(error).__name__ == "UnpicklingError":
            raise InputError(
                f"{file}: not a plain state dict; a pickle that builds objects is refused. "
                "Save the state dict alone, best as .safetensors"
            ) from None
        raise InputError(f"{file}: damaged, or not a weights file") from None
    if not isinstance(state, dict) or not all(_is_plain(n, t) for n, t in state.items()):
        raise InputError(
            f"{file}: expected tensors by name (a state dict), dense and with values; save the "
            "state dict alone, without what a checkpoint wraps it in, best as .safetensors"
        )
    return state


def _is_plain(name: object, tensor: object) -> bool:
    """Whether it is a name, and a tensor whose values can be looked at."""
    if not isinstance(name, str) or not isinstance(tensor, Tensor):
        return False
    return tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_nested)


def _check_fit(
    own: Mapping[str, Tensor], state: dict[str, Tensor], file: Path, backbone: str
) -> None:
    """Every tensor under its name and in its shape, or one line that counts and shows them."""
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = sorted(n for n in own.keys() & state.keys() if own[n].shape != state[n].shape)
    if not (missing or extra or shapes):
        return
    said = [f"{len(missing)} of {len(own)} tensors missing{_such_as(missing)}"]
    said += [f"{len(extra)} left over{_such_as(extra)}"]
    turned = [f"{n}: {tuple(state[n].shape)}, expected {tuple(own[n].shape)}" for n in shapes]
    said += [f"{len(shapes)} of another shape{_such_as(turned)}"]
    raise InputError(
        f"{file}: the weights do not fit {backbone}: {', '.join(said)}; "
        "set backbone: to the net they were saved from"
    )


def _check_values(own: Mapping[str, Tensor], state: dict[str, Tensor], file: Path) -> None:
    """Finite real numbers everywhere, and no negative variance: else every feature is NaN."""
    wrong = [
        name
        for name, tensor in sorted(state.items())
        if own[name].is_floating_point()
        and not (tensor.is_floating_point() and tensor.isfinite().all())
    ]
    wrong += [
        name for name in sorted(state) if name.endswith("running_var") if state[name].min() < 0
    ]
    if wrong:
        raise InputError(
            f"{file}: {len(wrong)} of {len(own)} tensors hold other than finite real numbers"
            f"{_such_as(wrong)}; quantised weights and those of a failed training cannot be used"
        )


def _such_as(names: list[str]) -> str:
    return f" (such as {names[0]})" if names else ""
