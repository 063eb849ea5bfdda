"""The served model as one file for machines without this package: pt2 (torch.export) and ONNX.

The file takes raw pixels of any size and any number of images, and answers with everything that
the scorer says of them: squeezing, calibration, prediction sets and distances are part of it.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from models.imaging.scorer import ImagingScorer
from models.imaging.traced import OUTPUTS, Traced

Form = Literal["pt2", "onnx"]
Run: TypeAlias = Callable[[np.ndarray], list[np.ndarray]]

_MOST_SIDE = 8192
_OPSET = 18


@dataclass(frozen=True)
class Parity:
    """How far an exported file's answers lie from the scorer's.

    Attributes:
        form: `pt2` or `onnx`.
        file: Where it is.
        probability: Largest difference of a probability.
        distance: Largest difference of a distance, in limits; None where none is told.
        sets: Share of prediction sets that are not the same; None where none are told.
        images: How many were compared.
    """

    form: Form
    file: Path
    probability: float
    distance: float | None
    sets: float | None
    images: int


def can_export(form: Form) -> bool:
    """Whether the packages that a form needs are installed: ONNX needs the extra `onnx`."""
    return form == "pt2" or all(map(importlib.util.find_spec, ("onnxscript", "onnxruntime")))


def export(scorer: ImagingScorer, folder: Path, forms: tuple[Form, ...]) -> dict[Form, Path]:
    """Write `model.pt2` and `model.onnx`, float32, and return the files by form.

    Their input is `pixels`, uint8 (n, H, W, 3); their outputs are those of `OUTPUTS`.

    Args:
        scorer: Moved to the CPU.
        folder: Receives the files.
        forms: Which to write; each `can_export`.
    """
    reading = Traced(scorer).eval().cpu()
    example = torch.zeros(2, scorer.image_size + 16, scorer.image_size + 2, 3, dtype=torch.uint8)
    free = torch.export.Dim
    sides = [free(name, min=8, max=_MOST_SIDE) for name in ("height", "width")]
    shapes = ({0: free("images", min=1), 1: sides[0], 2: sides[1]},)
    with _quiet(), torch.no_grad():
        program = torch.export.export(reading, (example,), dynamic_shapes=shapes, strict=False)
        return {form: _WRITERS[form](program, folder / f"model.{form}") for form in forms}


def _write_pt2(program: torch.export.ExportedProgram, file: Path) -> Path:
    torch.export.save(program, file)
    return file


def _write_onnx(program: torch.export.ExportedProgram, file: Path) -> Path:
    made = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=_OPSET,
        input_names=["pixels"],
        output_names=list(OUTPUTS),
        verbose=False,
    )
    assert made is not None  # noqa: S101 - it is None without dynamo
    made.save(file)
    return file


_WRITERS: dict[Form, Callable[[torch.export.ExportedProgram, Path], Path]] = {
    "pt2": _write_pt2,
    "onnx": _write_onnx,
}


def open_file(form: Form, file: Path) -> Run:
    """A function from pixels, uint8 (n, H, W, 3), to what `OUTPUTS` names, on the CPU."""
    if form == "onnx":
        return _onnx(file)
    with _quiet():
        module = torch.export.load(file).module()

    def run(pixels: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            found: tuple[Tensor, ...] = module(torch.from_numpy(np.array(pixels)))
        return [each.numpy() for each in found]

    return run


def _onnx(file: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda pixels: list(session.run(list(OUTPUTS), {"pixels": np.array(pixels)}))


def parity(scorer: ImagingScorer, form: Form, file: Path, batches: list[np.ndarray]) -> Parity:
    """Compare an exported file with the scorer that it was made from.

    Args:
        scorer: As served.
        form: Of the file.
        file: The file; it is opened anew.
        batches: Pixels uint8 (n, H, W, 3), of several sizes and numbers of images.
    """
    run = open_file(form, file)
    pairs = [(scorer.judge(pixels), run(pixels)) for pixels in batches]
    p = [np.abs(one.predictions.to_numpy() - other[0]).max() for one, other in pairs]
    far = [np.abs(j.distance - o[2]).max() for j, o in pairs if j.distance is not None]
    torn = [_torn(scorer, j.sets, o[1]) for j, o in pairs if j.sets is not None]
    return Parity(
        form,
        file,
        float(max(p)),
        float(max(far)) if far else None,
        float(np.mean(np.concatenate(torn))) if torn else None,
        sum(map(len, batches)),
    )


def _torn(scorer: ImagingScorer, sets: list[tuple[str, ...]], members: np.ndarray) -> np.ndarray:
    names = np.array(scorer.classes)
    pairs = zip(sets, members, strict=True)
    return np.array([one != tuple(names[other.astype(bool)]) for one, other in pairs])


@contextmanager
def _quiet() -> Iterator[None]:
    """torch tells of what is missing for models that are none of ours (torchvision)."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
