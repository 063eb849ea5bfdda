"""Random views of training images: MONAI's transforms, on several images at once.

MONAI's random transforms take one image at a time and cost more than the net does at 48 pixels.
A few images stacked as channels share one draw instead: a batch of 32 holds eight draws, and
augmentation takes a few percent of a training step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from monai.data import set_track_meta
from monai.transforms import (
    Compose,
    RandAffine,
    RandFlip,
    RandomizableTransform,
    RandRotate90,
    RandScaleIntensity,
)
from torch import Tensor

_SHARED = 4


def augmenter(
    size: int, seed: int, silhouettes: bool, epoch: int = 0
) -> Callable[[Tensor], Tensor]:
    """A function from a batch of pixels to a random view of it.

    Args:
        size: Side of the images.
        seed: Of the draws, together with the epoch.
        silhouettes: The images have no up and left, and their scale and brightness are
            millimetres: flips and quarter turns alone, which change neither. Otherwise left and
            right are swapped, and angle, place, scale and brightness vary a little.
        epoch: Its draws are its own, whatever was drawn in those before.
    """
    set_track_meta(False)  # no affine matrices to carry along
    views = _exact() if silhouettes else _inexact(size)
    drawn = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
    transform = Compose(views).set_random_state(drawn)

    def augment(pixels: Tensor) -> Tensor:
        seen = [_together(part, transform) for part in pixels.split(_SHARED)]
        return torch.cat(seen).clamp(0.0, 255.0).contiguous(memory_format=torch.channels_last)

    return augment


def _exact() -> list[RandomizableTransform]:
    flips = [RandFlip(prob=0.5, spatial_axis=axis) for axis in (0, 1)]
    return [*flips, RandRotate90(prob=0.75, max_k=3)]


def _inexact(size: int) -> list[RandomizableTransform]:
    shift = size / 16
    affine = RandAffine(
        prob=0.8,
        rotate_range=0.26,  # radians, 15 degrees
        translate_range=(shift, shift),
        scale_range=(0.1, 0.1),
        mode="bilinear",
        padding_mode="zeros",
        spatial_size=(size, size),  # the grid of the identity is then made once
        cache_grid=True,
    )
    return [RandFlip(prob=0.5, spatial_axis=1), affine, RandScaleIntensity(factors=0.15, prob=0.5)]


def _together(part: Tensor, transform: Compose) -> Tensor:
    """One draw for all images of (m, 3, H, W), seen as 3·m channels of one."""
    stacked = part.reshape(-1, *part.shape[2:])
    view: Tensor = transform(stacked)
    return torch.as_tensor(view).reshape(part.shape)
