"""The imaging model as it is served: raw pixels in, calibrated probabilities out.

Beside them, where the run has fitted them: which classes each prediction set holds, and how far an
image is from those that the net has learned from.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from domains.errors import InputError
from domains.healthcare.images.pixels import (
    AS_STATED,
    Reading,
    Unreadable,
    as_rgb,
    from_json,
    greyed,
    resize,
)
from models.calibration import label_probabilities, probabilities
from models.imaging.backbones import Classifier, build
from models.imaging.conformal import Sets
from models.imaging.forward import machine, outputs
from models.imaging.outliers import Familiar, familiar
from models.imaging.precision import Precision
from models.imaging.views import Views
from models.intake import Field
from models.scorer import DESCRIPTION

_WEIGHTS, _FAMILIAR = "weights.safetensors", "familiar.safetensors"
_STEP = 16


@dataclass(frozen=True)
class Judged:
    """What is said of n images.

    Attributes:
        predictions: One column a class or label, `p_NAME`.
        sets: Names of the classes in each prediction set; None where none were fitted.
        distance: (n,) from the training images, above 1 is unlike them; None where not fitted.
    """

    predictions: pd.DataFrame
    sets: list[tuple[str, ...]] | None
    distance: np.ndarray | None


@dataclass(frozen=True)
class ImagingScorer:
    """A classifier with its preprocessing, calibration, prediction sets and sense of the strange.

    Attributes:
        net: Encoder and head.
        classes: Names by class number; of labels, where an image may have several.
        image_size: Side that images are resized to.
        temperature: Of the calibration; one a label where an image may have several.
        views: Test-time augmentation.
        precision: Of the forward pass.
        sets: Prediction sets, fitted to probabilities before the temperature.
        familiar: Where training images lie.
        reading: How files became the images that it was trained on.
    """

    net: Classifier
    classes: tuple[str, ...]
    image_size: int
    temperature: float | tuple[float, ...] = 1.0
    views: Views = "one"
    precision: Precision = "float32"
    sets: Sets | None = None
    familiar: Familiar | None = None
    reading: Reading = AS_STATED

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
        return self.judge(inputs).predictions

    def judge(self, inputs: Any) -> Judged:
        """Predictions, prediction sets and distances; see `predict`."""
        logits, layers = self.read(self._prepared(np.asarray(inputs)))
        frame = pd.DataFrame(self.calibrated(logits), columns=list(self.outputs))
        sets = None
        if self.sets is not None:
            rows = self.sets.members(probabilities(logits))
            sets = [
                tuple(n for n, inside in zip(self.classes, row, strict=True) if inside)
                for row in rows
            ]
        distance = None if self.familiar is None else self.familiar.distance(layers)
        return Judged(frame, sets, distance)

    def read(self, pixels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Logits (n, k) and features (n, d), the deepest last, of images as it was trained on.

        Args:
            pixels: uint8 (n, S, S, c).
        """
        # Small batches are computed by other instructions, which round otherwise: an image's
        # answer must not depend on how many others came with it.
        rows = np.append(np.arange(len(pixels)), np.zeros(-len(pixels) % _STEP, dtype=int))
        on = machine(self.net.backbone.name, precision=self.precision)
        logits, layers = outputs(self.net, pixels, rows, on, self.views)
        return logits[: len(pixels)], [values[: len(pixels)] for values in layers]

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities (n, k) of logits (n, k)."""
        if isinstance(self.temperature, tuple):
            return label_probabilities(logits, self.temperature)
        return probabilities(logits, self.temperature)

    def _prepared(self, images: np.ndarray) -> np.ndarray:
        if images.ndim not in (3, 4) or not len(images):
            raise InputError(
                f"images: shape {images.shape}, expected (n, height, width) or "
                "(n, height, width, 3) with at least one image"
            )
        try:
            rgb = np.stack([self._squeezed(image) for image in images])
        except Unreadable as error:
            raise InputError(f"images: {error}") from None
        return rgb[..., : self.net.backbone.channels]

    def _squeezed(self, image: np.ndarray) -> np.ndarray:
        """As files are read: colours become greys, where the net sees one channel, at full size."""
        pixels = as_rgb(image, self.reading.window)
        pixels = greyed(pixels) if self.net.backbone.channels == 1 else pixels
        return resize(pixels, self.image_size)

    def save(self, folder: Path) -> Path:
        """Write `scorer.json` and the tensors; returns the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "kind": "imaging",
            "backbone": self.net.backbone.name,
            "channels": self.net.backbone.channels,
            "classes": list(self.classes),
            "image_size": self.image_size,
            "temperature": self.temperature,
            "views": self.views,
            "precision": self.precision,
            "sets": None if self.sets is None else _finite(asdict(self.sets)),
            "reading": self.reading.to_json(),
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2))
        save_net(self.net, folder / _WEIGHTS)
        if self.familiar is not None:
            save_arrays(self.familiar.arrays(), folder / _FAMILIAR)
        return folder


def _finite(sets: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity; no score passes 2."""
    return {**sets, "threshold": min(sets["threshold"], 2.0)}


def load_scorer(folder: Path) -> ImagingScorer:
    """The scorer that `ImagingScorer.save` wrote."""
    said = json.loads((folder / DESCRIPTION).read_text())
    classes, size, temperature = tuple(said["classes"]), said["image_size"], said["temperature"]
    shape = size, len(classes), said.get("channels", 3)
    net = load_net(folder / _WEIGHTS, said["backbone"], *shape)
    scorer = ImagingScorer(net, classes, size)
    sets, file = said.get("sets"), folder / _FAMILIAR
    return replace(
        scorer,
        temperature=tuple(temperature) if isinstance(temperature, list) else temperature,
        views=said.get("views", "one"),
        precision=said.get("precision", "float32"),
        sets=Sets(**sets) if sets else None,
        familiar=familiar(load_arrays(file)) if file.exists() else None,
        reading=from_json(said.get("reading")),
    )


def save_net(net: Classifier, file: Path) -> Path:
    """Weights and buffers of encoder and head as safetensors; returns the file."""
    state: dict[str, Tensor] = {n: t.contiguous() for n, t in net.state_dict().items()}
    save_file(state, file)
    return file


def load_net(
    file: Path, backbone: str, image_size: int, outputs: int, channels: int = 3
) -> Classifier:
    """The net that `save_net` wrote, in eval mode."""
    net = Classifier(build(backbone, image_size, channels=channels), outputs)
    net.load_state_dict(load_file(file))
    return net.eval()
