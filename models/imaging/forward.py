"""One pass of a finished net over images: logits and features, on the device that is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from models.imaging.backbones import Classifier
from models.imaging.depths import at_depths
from models.imaging.features import to_batch
from models.imaging.precision import Precision, half
from models.imaging.views import Views, views

Device = Literal["auto", "cpu", "cuda"]

_BATCH = 64  # what a layer makes of so many stays in a core's cache


@dataclass(frozen=True)
class Machine:
    """Where a net runs and how it multiplies.

    Attributes:
        device: `cpu` or `cuda`.
        half: bf16 multiplications (autocast); weights and sums stay float32.
    """

    device: str = "cpu"
    half: bool = False


def machine(backbone: str, device: Device = "auto", precision: Precision = "float32") -> Machine:
    """What is there, or what is asked for.

    Args:
        backbone: Name of the encoder.
        device: `auto` takes a CUDA device where torch finds one.
        precision: `auto` takes bf16 where it pays; see `models.imaging.precision`.
    """
    found = "cuda" if torch.cuda.is_available() else "cpu"
    found = found if device == "auto" else device
    if found == "cuda" and precision == "auto":
        return Machine(found, torch.cuda.is_bf16_supported())
    return Machine(found, half(backbone, precision, training=False))


def outputs(
    net: Classifier, images: np.ndarray, rows: np.ndarray, on: Machine, how: Views = "one"
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits (m, k), the mean over views, and features (m, d) of the image itself; float32.

    Args:
        net: In eval mode; left on the device.
        images: uint8 (n, S, S, 3), perhaps memory-mapped.
        rows: Which of them, (m,).
        on: Device and precision.
        how: Test-time augmentation.

    Returns:
        Logits, and the features of each of `models.imaging.depths`, the deepest last.
    """
    net.eval().to(on.device)
    logits, layers = [], []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            pixels = to_batch(images[rows[start : start + _BATCH]]).to(on.device)
            seen = [_layers(net, view, on) for view in views(pixels, how)]
            logits.append(torch.stack([net.head(each[-1]) for each in seen]).mean(dim=0).cpu())
            layers.append([values.cpu() for values in seen[0]])
    return torch.cat(logits).numpy(), [
        torch.cat(batches).numpy() for batches in zip(*layers, strict=True)
    ]


def _layers(net: Classifier, pixels: Tensor, on: Machine) -> list[Tensor]:
    with torch.autocast(on.device, torch.bfloat16, enabled=on.half):
        layers = at_depths(net.backbone, pixels)
    return [values.float() for values in layers]
