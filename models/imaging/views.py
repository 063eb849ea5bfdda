"""Test-time augmentation: the same views of every image, and the mean of what is read in them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Views = Literal["one", "mirrored", "turned"]
"""`one`: the image alone; `mirrored`: and its mirror image; `turned`: the eight ways to lay a
square, for images that have no up and left."""


def views(pixels: Tensor, how: Views) -> list[Tensor]:
    """Views of a batch (n, 3, S, S), itself first; none of them changes a pixel's value."""
    if how == "one":
        return [pixels]
    mirrored = pixels.flip(3)
    if how == "mirrored":
        return [pixels, mirrored]
    return [
        torch.rot90(each, quarter, (2, 3)) for each in (pixels, mirrored) for quarter in range(4)
    ]
