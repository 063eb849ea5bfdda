"""What an encoder makes of images on the way to its features, at several depths of one pass."""

from __future__ import annotations

from threading import get_ident

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from models.imaging.backbones import Backbone


def at_depths(backbone: Backbone, pixels: Tensor) -> list[Tensor]:
    """Means over the image of its feature maps, the finest first, and last of all its features.

    Fine-tuning bends the last features to the task, until whatever is not asked for, and so what
    makes an image strange, is lost from them; finer maps, which it moves little, still have it.

    Args:
        backbone: Its `maps` say which; the coarsest is what the features are the mean of.
        pixels: As the backbone takes them.

    Returns:
        Each (n, d), d the channels of the map, or the length of the features.
    """
    found: dict[int, Tensor] = {}
    fine = sorted(backbone.maps)[:-1]
    hooks = [_listen(backbone, cell, found) for cell in fine]
    try:
        features = backbone(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return [*(found[cell] for cell in fine), features]


def _listen(backbone: Backbone, cell: int, found: dict[int, Tensor]) -> RemovableHandle:
    mine = get_ident()  # a net that serves answers several threads at once

    def keep(_: nn.Module, __: object, made: Tensor) -> None:
        if get_ident() == mine:
            found[cell] = made.float().mean(dim=(2, 3))

    return backbone.net.get_submodule(backbone.maps[cell]).register_forward_hook(keep)
