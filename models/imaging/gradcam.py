"""Where a net looked: Grad-CAM of MONAI, on a feature map fine enough to show a place."""

from __future__ import annotations

import numpy as np
import torch
from monai.visualize import GradCAM
from torch import Tensor

from models.imaging.backbones import Classifier
from models.imaging.features import to_batch

_CELLS = 6


def heat_maps(net: Classifier, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Evidence for a class at each pixel (Selvaraju et al., 2017, arXiv:1610.02391).

    Small images leave the last layer two cells a side, which shows nothing: the deepest layer with
    at least six is read instead.

    Args:
        net: In eval mode; gradients are taken, weights do not change.
        images: uint8 (n, H, W, 3).
        classes: Class to explain in each image, (n,).

    Returns:
        float32 (n, H, W), 0 for nothing to 1 for the strongest place of the image.
    """
    net.eval()
    maps = net.backbone.maps
    fine = [cell for cell in maps if images.shape[1] / cell >= _CELLS] or [min(maps)]
    cam = GradCAM(
        nn_module=net,
        target_layers=f"backbone.net.{maps[max(fine)]}",
        postprocessing=_identity,
    )
    out = []
    with torch.enable_grad():
        for image, number in zip(images, classes, strict=True):
            pixels = to_batch(image[None]).requires_grad_(True)
            heat = cam(pixels, class_idx=int(number))[0, 0]
            out.append(torch.as_tensor(heat).detach().clamp(min=0).numpy())
    heats = np.stack(out).astype(np.float32)
    return np.asarray(heats / np.maximum(heats.max(axis=(1, 2), keepdims=True), 1e-12))


def _identity(heat: Tensor) -> Tensor:
    """MONAI would turn the map upside down; it is scaled by the caller."""
    return heat
