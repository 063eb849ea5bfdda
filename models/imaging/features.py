"""Features of a frozen base: computed once, whatever is then fitted to them.

Frozen means that no tensor and no buffer of the base changes: gradients are off and BatchNorm is
in eval. The features of every image are then constants, and one forward pass is all they cost.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from domains import durable
from models.imaging.backbones import Backbone, freeze
from models.imaging.precision import Precision, half

_BATCH = 128


def to_batch(images: np.ndarray) -> Tensor:
    """Float pixels (n, c, H, W), channels last in memory, from uint8 (n, H, W, c).

    The layout costs nothing: it is the order in which the images lie on disk.
    """
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()


def features(
    backbone: Backbone,
    images: np.ndarray,
    cache: Path | None = None,
    precision: Precision = "auto",
) -> np.ndarray:
    """Features of every image by one forward pass of the frozen base.

    Args:
        backbone: Frozen by this call.
        images: uint8 (n, H, W, c), perhaps memory-mapped.
        cache: Folder of features kept by digest of weights, images and precision; None keeps none.
        precision: See `models.imaging.precision`.

    Returns:
        float32 (n, d).
    """
    freeze(backbone)
    halved = half(backbone.name, precision, training=False)
    path = cache / f"features-{_digest(backbone, images, halved)}.npy" if cache else None
    if path and path.exists():
        kept: np.ndarray = np.load(path)
        return kept
    out = np.empty((len(images), backbone.feature_dim), dtype=np.float32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=halved):
        for start in range(0, len(images), _BATCH):
            rows = slice(start, start + _BATCH)
            out[rows] = backbone(to_batch(images[rows])).float().numpy()
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with durable.replacing(path) as part:
            np.save(part, out)
    return out


def _digest(backbone: Backbone, images: np.ndarray, halved: bool) -> str:
    digest = hashlib.blake2b(str((images.shape, halved)).encode(), digest_size=16)
    for tensor in backbone.state_dict().values():
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    for start in range(0, len(images), 4096):
        digest.update(np.ascontiguousarray(images[start : start + 4096]).tobytes())
    return digest.hexdigest()
