"""Where slices lie in space, as DICOM states it: of each file of a series, or of each frame.

Sections of the standard are those of DICOM PS3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from domains.healthcare.images.dicom_values import groups


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a slice lies.

    Attributes:
        position: Of its first pixel, (3,) in millimetres; None where it is not stated.
        turn: Directions of its rows and columns, (6,); None where they are not stated.
        spacing: Millimetres between rows and between columns, (2,).
    """

    position: np.ndarray | None
    turn: np.ndarray | None
    spacing: np.ndarray


def stated(header: Dataset) -> dict[str, Any]:
    """What an image plane says of itself (C.7.6.2), by the attributes of a `Place`."""
    return {
        "position": _numbers(header.get("ImagePositionPatient"), 3),
        "turn": _numbers(header.get("ImageOrientationPatient"), 6),
        "spacing": _spacing(header.get("PixelSpacing")),
    }


def places(dataset: Dataset, frames: int) -> tuple[Place, ...]:
    """Where the frames of an enhanced file lie (C.7.6.16.2); unstated ones lie nowhere."""
    names = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
    found = []
    for number in range(frames):
        plane = Dataset()
        for name in names:
            plane.update(next(groups(dataset, name, number), Dataset()))
        found.append(Place(**stated(plane)))
    return tuple(found)


def heights(slices: Sequence[Place]) -> np.ndarray | None:
    """How far along their common normal slices lie; None unless all of them say so differently."""
    turn = slices[0].turn if len(slices) > 1 else None
    if turn is None:
        return None
    for each in slices:
        if each.position is None or each.turn is None or not np.allclose(each.turn, turn, 0, 1e-3):
            return None
    normal = np.cross(turn[:3], turn[3:])
    found = np.array([normal @ each.position for each in slices])
    return found if np.diff(np.sort(found)).min() > 1e-3 else None


def affine(ordered: Sequence[Place]) -> np.ndarray:
    """From column, row, slice to millimetres right, anterior, superior: DICOM counts leftwards and
    backwards.
    """
    first, last = ordered[0], ordered[-1]
    assert first.position is not None  # noqa: S101 - `heights` saw all of these
    assert last.position is not None  # noqa: S101
    assert first.turn is not None  # noqa: S101
    found = np.eye(4)
    found[:3, 0] = first.turn[:3] * first.spacing[1]
    found[:3, 1] = first.turn[3:] * first.spacing[0]
    found[:3, 2] = (last.position - first.position) / (len(ordered) - 1)
    found[:3, 3] = first.position
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ found


def _numbers(value: Any, count: int) -> np.ndarray | None:
    if value is None or len(value) != count:
        return None
    numbers = np.array([float(each) for each in value])
    return numbers if np.isfinite(numbers).all() else None


def _spacing(value: Any) -> np.ndarray:
    found = _numbers(value, 2)
    return np.ones(2) if found is None or (found <= 0).any() else found
