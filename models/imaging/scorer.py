"""The imaging model as it is served: raw pixels in, calibrated probabilities out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file
from torch import Tensor

from domains.errors import InputError
from domains.healthcare.image_files import Unreadable, as_rgb, resize
from models.calibration import probabilities
from models.imaging.backbones import Classifier, build
from models.imaging.tuning import logits
from models.intake import Field
from models.scorer import DESCRIPTION

_WEIGHTS = "weights.safetensors"
_STEP = 16


@dataclass(frozen=True)
class ImagingScorer:
    """A classifier with its preprocessing and calibration.

    Attributes:
        net: Encoder and head.
        classes: Names by class number.
        image_size: Side that images are resized to.
        temperature: Of the calibration.
    """

    net: Classifier
    classes: tuple[str, ...]
    image_size: int
    temperature: float = 1.0

    @property
    def fields(self) -> tuple[Field, ...]:
        """None: pixels have no columns."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the predictions, `p_CLASS` in class order."""
        return tuple(f"p_{name}" for name in self.classes)

    def predict(self, inputs: Any) -> pd.DataFrame:
        """Probabilities, one row an image, one column `p_CLASS` a class.

        Args:
            inputs: Pixels (n, H, W, 3) or (n, H, W) of any size, 0 … 255; grey values of more
                than 8 bits are stretched image by image, as when they are read from a file.

        Raises:
            InputError: Another shape, or pixels that are not finite numbers.
        """
        pixels = self._prepared(np.asarray(inputs))
        # Small batches are computed by other instructions, which round otherwise: an image's
        # answer must not depend on how many others came with it.
        rows = np.append(np.arange(len(pixels)), np.zeros(-len(pixels) % _STEP, dtype=int))
        outputs = logits(self.net, pixels, rows)[: len(pixels)]
        return pd.DataFrame(probabilities(outputs, self.temperature), columns=list(self.outputs))

    def _prepared(self, images: np.ndarray) -> np.ndarray:
        if images.ndim not in (3, 4) or not len(images):
            raise InputError(
                f"images: shape {images.shape}, expected (n, height, width) or "
                "(n, height, width, 3) with at least one image"
            )
        try:
            return np.stack([resize(as_rgb(image), self.image_size) for image in images])
        except Unreadable as error:
            raise InputError(f"images: {error}") from None

    def save(self, folder: Path) -> Path:
        """Write `scorer.json` and `weights.safetensors`; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "kind": "imaging",
            "backbone": self.net.backbone.name,
            "classes": list(self.classes),
            "image_size": self.image_size,
            "temperature": self.temperature,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2))
        save_net(self.net, folder / _WEIGHTS)
        return folder


def load_scorer(folder: Path) -> ImagingScorer:
    """The scorer that `ImagingScorer.save` wrote."""
    description = json.loads((folder / DESCRIPTION).read_text())
    classes, size = tuple(description["classes"]), description["image_size"]
    net = load_net(folder / _WEIGHTS, description["backbone"], size, len(classes))
    return ImagingScorer(net, classes, size, description["temperature"])


def save_net(net: Classifier, file: Path) -> Path:
    """Weights and buffers of encoder and head as safetensors; returns the file."""
    state: dict[str, Tensor] = {n: t.contiguous() for n, t in net.state_dict().items()}
    save_file(state, file)
    return file


def load_net(file: Path, backbone: str, image_size: int, outputs: int) -> Classifier:
    """The net that `save_net` wrote, in eval mode."""
    net = Classifier(build(backbone, image_size), outputs)
    net.load_state_dict(load_file(file))
    return net.eval()
