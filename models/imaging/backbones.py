"""Image encoders, and where their weights come from.

An encoder takes raw pixels and gives features; normalisation is part of it, so that nobody can
forget it, at training or when a version is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from monai.networks.nets import DenseNet121
from monai.networks.nets.efficientnet import EfficientNet
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from domains.errors import InputError

_LITE0 = [
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
]
# MONAI's .01 leaves running statistics near their initial values for hundreds of steps: a net
# trained from scratch then reads as noise in eval mode.
_MOMENTUM = 0.1


Module = TypeVar("Module", bound=nn.Module)


class Backbone(nn.Module):
    """An encoder of images.

    Attributes:
        name: `efficientnet-lite0` or `densenet121`.
        feature_dim: Length d of the features.
        blocks: The layers as named steps from the stem to the last one, for training some of them
            and for learning rates that fall with depth. Views of `net`, not further modules.
        maps: Pixels a cell → name, below `net`, of a module whose feature map has such cells.
    """

    def __init__(
        self,
        name: str,
        net: nn.Module,
        dim: int,
        blocks: list[list[nn.Module]],
        maps: dict[int, str],
    ) -> None:
        super().__init__()
        self.name, self.net, self.feature_dim, self.maps = name, net, dim, maps
        self.blocks = tuple(tuple(block) for block in blocks)
        mean, scale = _NORMALISATION[name]
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (n, d) of raw pixels 0 … 255, float (n, 3, H, W)."""
        features: Tensor = self.net((pixels - self.mean) / self.scale)
        return features


_NORMALISATION = {
    "efficientnet-lite0": ([127.0] * 3, [128.0] * 3),
    # ImageNet's means and deviations, for weights a user brings from elsewhere
    "densenet121": ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
}


def _lite0(image_size: int) -> Backbone:
    """EfficientNet-Lite0: B0 without squeeze and excitation, ReLU6 for swish."""
    norm = ("batch", {"eps": 1e-3, "momentum": _MOMENTUM})
    net = EfficientNet(_LITE0, in_channels=3, image_size=image_size, norm=norm)
    net._swish = nn.ReLU6(inplace=True)
    stages = [block for stack in net._blocks for block in stack]
    for block in stages:
        block._swish = nn.ReLU6(inplace=True)
    net._dropout, net._fc = nn.Identity(), nn.Identity()
    blocks = [[net._conv_stem, net._bn0], *([block] for block in stages)]
    blocks.append([net._conv_head, net._bn1])
    maps = {8: "_blocks.2.4", 16: "_blocks.4.10", 32: "_bn1"}
    return Backbone("efficientnet-lite0", net, 1280, blocks, maps)


def _densenet121(image_size: int) -> Backbone:  # noqa: ARG001 - its padding needs no size
    """DenseNet-121 of MONAI."""
    net = DenseNet121(spatial_dims=2, in_channels=3, out_channels=1)
    net.class_layers.out = nn.Identity()
    parts = dict(net.features.named_children())
    blocks = [[parts["conv0"], parts["norm0"]]]
    blocks += [[parts[f"denseblock{i}"], parts[f"transition{i}"]] for i in (1, 2, 3)]
    blocks.append([parts["denseblock4"], parts["norm5"]])
    maps = {8: "features.denseblock2", 16: "features.denseblock3", 32: "features.norm5"}
    return Backbone("densenet121", net, 1024, blocks, maps)


_BUILDERS: dict[str, Callable[[int], Backbone]] = {
    "efficientnet-lite0": _lite0,
    "densenet121": _densenet121,
}
IMAGENET = frozenset({"efficientnet-lite0"})
"""Backbones whose ImageNet weights can be fetched (`domains.sources`)."""


def build(name: str, image_size: int, seed: int | None = None) -> Backbone:
    """An encoder with random weights, in eval mode and channels-last layout.

    Args:
        name: `efficientnet-lite0` or `densenet121`.
        image_size: Side of the images; EfficientNet's padding depends on it.
        seed: Of the weights; None when they are loaded anyway.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0 if seed is None else seed)
        backbone = _BUILDERS[name](image_size)
    return channels_last(backbone.eval())


def channels_last(module: Module) -> Module:
    """Lay a net's weights out as its images are: faster at every size measured."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def settle(backbone: Backbone, batches: Iterable[Tensor]) -> Backbone:
    """Estimate BatchNorm's statistics on batches of pixels; weights do not change.

    Without it the features of an EfficientNet with random weights are all but zero (their spread
    is 1e-11), and a control that cannot see would flatter whatever it is compared with.
    """
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    backbone.train()
    with torch.no_grad():
        for pixels in batches:
            backbone(pixels)
    for norm in norms:
        norm.momentum = _MOMENTUM
    return backbone.eval()


def load_imagenet(backbone: Backbone, file: Path) -> Backbone:
    """Load `domains.sources.fetch("efficientnet-lite0")`, every tensor under its new name.

    Raises:
        InputError: A tensor is missing, left over or of another shape.
    """
    if backbone.name not in IMAGENET:
        raise InputError(
            f"backbone: no ImageNet weights of {backbone.name} are within reach; "
            "give weights: (a file) or source: (a task to train a base on)"
        )
    state = {name: tensor for name, tensor in _read(file).items() if not name.startswith("_fc.")}
    _strict(backbone.net, dict(_renamed(state)), file)
    return backbone


def _renamed(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """`_blocks.{i}` of the file is `_blocks.{stack}.{i}` in MONAI's net."""
    repeats = [int(code[1 : code.index("_")]) for code in _LITE0]
    stack_of = [stack for stack, count in enumerate(repeats) for _ in range(count)]
    for name, tensor in state.items():
        if name.startswith("_blocks."):
            _, index, rest = name.split(".", 2)
            name = f"_blocks.{stack_of[int(index)]}.{index}.{rest}"
        yield name, tensor


def load_weights(backbone: Backbone, file: Path) -> Backbone:
    """Load a user's weights: `.safetensors`, or a state dict that needs no unpickling of objects.

    Names are those of `Backbone.net`'s state dict, or of EfficientNet-Lite0's published file;
    a classification layer in the file is left out.

    Raises:
        InputError: Missing or damaged file, a pickle of objects, or tensors that do not fit.
    """
    state = {n.removeprefix("net."): t for n, t in _read(file).items() if not _is_head(n)}
    if any(name.startswith("_blocks.") and name.count(".") < 4 for name in state):
        state = dict(_renamed(state))
    _strict(backbone.net, state, file)
    return backbone


def _is_head(name: str) -> bool:
    return name.removeprefix("net.").startswith(("_fc.", "class_layers.out.", "classifier."))


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise InputError(f"{file}: no such weights file")
    try:
        if file.suffix == ".safetensors":
            state = load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, KeyError):
        raise InputError(f"{file}: damaged, or not a weights file") from None
    except Exception as error:
        # pickle.UnpicklingError, by name: nothing here imports pickle
        if type(error).__name__ != "UnpicklingError":
            raise
        raise InputError(
            f"{file}: not a plain state dict; a pickle that builds objects is refused. "
            "Save the state dict alone, best as .safetensors"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise InputError(f"{file}: expected tensors by name (a state dict)")
    return state


def _strict(net: nn.Module, state: dict[str, Tensor], file: Path) -> None:
    own = net.state_dict()
    missing, extra = own.keys() - state.keys(), state.keys() - own.keys()
    shapes = [n for n in own.keys() & state.keys() if own[n].shape != state[n].shape]
    if missing or extra or shapes:
        example = sorted([*missing, *extra, *shapes])[0]
        raise InputError(
            f"{file}: the weights do not fit: {len(missing)} tensors missing, {len(extra)} left "
            f"over, {len(shapes)} of another shape (such as {example})"
        )
    net.load_state_dict(state)


class Classifier(nn.Module):
    """An encoder and a linear head.

    Attributes:
        backbone: The encoder.
        head: Linear layer from d features to k logits.
        fixed_statistics: Keep BatchNorm's statistics as they are while layers train.
    """

    def __init__(self, backbone: Backbone, outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.fixed_statistics = False
        self.head = nn.Linear(backbone.feature_dim, outputs)
        # Zeros: the first answers are the mean, and no noise of the head's reaches the base.
        nn.init.zeros_(self.head.bias)
        nn.init.zeros_(self.head.weight)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, k) of raw pixels 0 … 255, float (n, 3, H, W)."""
        logits: Tensor = self.head(self.backbone(pixels))
        return logits

    def train(self, mode: bool = True) -> Classifier:
        """Training mode for the layers that train; frozen layers stay in eval.

        A frozen BatchNorm in training mode would still move its running statistics, and so the
        features of a base that was said to be frozen.
        """
        super().train(mode)
        for module in self.modules():
            if _constant(module) or (self.fixed_statistics and isinstance(module, nn.BatchNorm2d)):
                module.eval()
        return self


def _constant(module: nn.Module) -> bool:
    """Whether a module has parameters, and none of them trains."""
    own = list(module.parameters())
    return bool(own) and not any(parameter.requires_grad for parameter in own)
