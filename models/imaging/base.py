"""A base as a registered model: raw pixels in, features out, and weights for others to start from.

>>> base = ImagingBase(build("resnet18", 32, seed=0), 32)
>>> base.predict(np.zeros((2, 40, 50), np.uint8)).shape
(2, 512)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file

from domains.errors import InputError
from domains.healthcare.images.pixels import Unreadable, as_rgb, greyed, resize
from models.imaging.backbones import Backbone, build
from models.imaging.features import features
from models.intake import Field
from models.scorer import DESCRIPTION

WEIGHTS = "weights.safetensors"
"""File of the weights in a packed base, and in a packed classifier."""
KIND = "imaging-base"


@dataclass(frozen=True)
class ImagingBase:
    """An encoder with its preprocessing.

    Attributes:
        backbone: The encoder.
        image_size: Side that images are resized to.
    """

    backbone: Backbone
    image_size: int

    @property
    def fields(self) -> tuple[Field, ...]:
        """None: pixels have no columns."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the features, `f0`, `f1`, …."""
        return tuple(f"f{number}" for number in range(self.backbone.feature_dim))

    def predict(self, inputs: Any) -> pd.DataFrame:
        """Features, one row an image.

        Args:
            inputs: Pixels (n, H, W, 3) or (n, H, W) of any size, 0 … 255.

        Raises:
            InputError: Another shape, or pixels that are not finite numbers.
        """
        images = np.asarray(inputs)
        if images.ndim not in (3, 4) or not len(images):
            raise InputError(
                f"images: shape {images.shape}, expected (n, height, width) or "
                "(n, height, width, 3) with at least one image"
            )
        try:
            pixels = np.stack([self._prepared(image) for image in images])
        except Unreadable as error:
            raise InputError(f"images: {error}") from None
        values = features(self.backbone, pixels, precision="float32")
        return pd.DataFrame(values, columns=list(self.outputs))

    def _prepared(self, image: np.ndarray) -> np.ndarray:
        pixels = as_rgb(image)
        pixels = greyed(pixels) if self.backbone.channels == 1 else pixels
        resized = resize(pixels, self.image_size)
        if self.backbone.channels == resized.shape[2]:
            return resized
        return np.repeat(resized[:, :, :1], self.backbone.channels, axis=2)

    def save(self, folder: Path) -> Path:
        """Write `scorer.json` and `weights.safetensors`; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "kind": KIND,
            "backbone": self.backbone.name,
            "image_size": self.image_size,
            "channels": self.backbone.channels,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2))
        state = {n: t.contiguous() for n, t in self.backbone.state_dict().items()}
        save_file(state, folder / WEIGHTS)
        return folder


def load_scorer(folder: Path) -> ImagingBase:
    """The base that `ImagingBase.save` wrote."""
    said = json.loads((folder / DESCRIPTION).read_text())
    backbone = build(said["backbone"], said["image_size"], channels=said["channels"])
    backbone.load_state_dict(load_file(folder / WEIGHTS))
    return ImagingBase(backbone, said["image_size"])
