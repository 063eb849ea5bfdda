"""Image encoders; `models.imaging.weights` says where their weights come from.

An encoder takes raw pixels and gives features; normalisation is part of it, so that nobody can
forget it, at training or when a version is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from monai.networks.nets import DenseNet121, resnet18
from monai.networks.nets.efficientnet import EfficientNet
from torch import Tensor, nn

LITE0 = [
    "r1_k3_s11_e1_i32_o16",
    "r2_k3_s22_e6_i16_o24",
    "r2_k5_s22_e6_i24_o40",
    "r3_k3_s22_e6_i40_o80",
    "r3_k5_s11_e6_i80_o112",
    "r4_k5_s22_e6_i112_o192",
    "r1_k3_s11_e6_i192_o320",
]
"""Stages of EfficientNet-B0 without squeeze and excitation, in MONAI's block strings."""
# MONAI's .01 leaves running statistics near their initial values for hundreds of steps: a net
# trained from scratch then reads as noise in eval mode.
_MOMENTUM = 0.1


Module = TypeVar("Module", bound=nn.Module)


class Backbone(nn.Module):
    """An encoder of images.

    Attributes:
        name: A key of `BUILDERS`.
        feature_dim: Length d of the features.
        channels: Channels c of the images, as the data state them.
        blocks: The layers as named steps from the stem to the last one, for training some of them
            and for learning rates that fall with depth. Views of `net`, not further modules.
        maps: Pixels a cell → name, below `net`, of a module whose feature map has such cells.
    """

    def __init__(
        self,
        name: str,
        net: nn.Module,
        dim: int,
        channels: int,
        blocks: list[list[nn.Module]],
        maps: dict[int, str],
    ) -> None:
        super().__init__()
        self.name, self.net, self.feature_dim, self.channels = name, net, dim, channels
        self.maps = maps
        self.blocks = tuple(tuple(block) for block in blocks)
        self.mean: Tensor
        self.scale: Tensor
        for part, values in zip(("mean", "scale"), _NORMALISATION[name], strict=True):
            # Channels that are no colours have one mean: that of the three.
            each = values if channels == 3 else [sum(values) / 3] * channels
            self.register_buffer(part, torch.tensor(each).view(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Features (n, d) of raw pixels 0 … 255, float (n, c, H, W)."""
        features: Tensor = self.net((pixels - self.mean) / self.scale)
        return features


# ImageNet's means and deviations, as published weights of these nets expect them
_IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
_NORMALISATION = {
    "efficientnet-lite0": ([127.0] * 3, [128.0] * 3),
    "densenet121": _IMAGENET,
    "resnet18": _IMAGENET,
}


def _lite0(image_size: int, channels: int) -> Backbone:
    """EfficientNet-Lite0: B0 without squeeze and excitation, ReLU6 for swish."""
    norm = ("batch", {"eps": 1e-3, "momentum": _MOMENTUM})
    net = EfficientNet(LITE0, in_channels=channels, image_size=image_size, norm=norm)
    net._swish = nn.ReLU6(inplace=True)
    stages = [block for stack in net._blocks for block in stack]
    for block in stages:
        block._swish = nn.ReLU6(inplace=True)
    net._dropout, net._fc = nn.Identity(), nn.Identity()
    blocks = [[net._conv_stem, net._bn0], *([block] for block in stages)]
    blocks.append([net._conv_head, net._bn1])
    maps = {8: "_blocks.2.4", 16: "_blocks.4.10", 32: "_bn1"}
    return Backbone("efficientnet-lite0", net, 1280, channels, blocks, maps)


def _densenet121(image_size: int, channels: int) -> Backbone:  # noqa: ARG001 - it needs no size
    """DenseNet-121 of MONAI."""
    net = DenseNet121(spatial_dims=2, in_channels=channels, out_channels=1)
    net.class_layers.out = nn.Identity()
    parts = dict(net.features.named_children())
    blocks = [[parts["conv0"], parts["norm0"]]]
    blocks += [[parts[f"denseblock{i}"], parts[f"transition{i}"]] for i in (1, 2, 3)]
    blocks.append([parts["denseblock4"], parts["norm5"]])
    maps = {8: "features.denseblock2", 16: "features.denseblock3", 32: "features.norm5"}
    return Backbone("densenet121", net, 1024, channels, blocks, maps)


def _resnet18(image_size: int, channels: int) -> Backbone:  # noqa: ARG001 - it needs no size
    """ResNet-18 of MONAI with the published stem: its stride of 1 costs 3.5 times as much."""
    net = resnet18(
        spatial_dims=2,
        n_input_channels=channels,
        conv1_t_stride=2,
        bias_downsample=False,
        feed_forward=False,
    )
    stages = [[block] for i in (1, 2, 3, 4) for block in getattr(net, f"layer{i}")]
    maps = {4: "layer1", 8: "layer2", 16: "layer3", 32: "layer4"}
    return Backbone("resnet18", net, 512, channels, [[net.conv1, net.bn1], *stages], maps)


BUILDERS: dict[str, Callable[[int, int], Backbone]] = {
    "efficientnet-lite0": _lite0,
    "densenet121": _densenet121,
    "resnet18": _resnet18,
}
"""Name → encoder for images of a size and so many channels."""


def build(name: str, image_size: int, seed: int | None = None, channels: int = 3) -> Backbone:
    """An encoder with random weights, in eval mode and channels-last layout.

    Args:
        name: A key of `BUILDERS`.
        image_size: Side of the images; EfficientNet's padding depends on it.
        seed: Of the weights; None when they are loaded anyway.
        channels: Of the images.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0 if seed is None else seed)
        backbone = BUILDERS[name](image_size, channels)
    return channels_last(backbone.eval())


def freeze(module: nn.Module) -> None:
    """Make a module constant: no gradients, and eval mode for BatchNorm and dropout."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    module.eval()


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
        """Logits (n, k) of raw pixels 0 … 255, float (n, c, H, W)."""
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
