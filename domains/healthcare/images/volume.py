"""A volume as the images it is cut into, turned as a radiologist sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np

from domains.healthcare.images.pixels import Slices, Unreadable, as_rgb, check_size

MAX_VOXELS = 256_000_000
"""Of one volume; checked before a voxel is read."""

_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True)
class Volume:
    """Grey values in space.

    Attributes:
        voxels: uint8, (i, j, k); the third axis is the one it was acquired along.
        affine: From voxel numbers to millimetres right, anterior and superior of an origin, (4, 4);
            None where the file says nothing of it, and slices can only be taken as acquired.
    """

    voxels: np.ndarray
    affine: np.ndarray | None


def cut(
    volume: Volume, slices: Slices, asked: Sequence[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Number and pixels of the chosen slices, uint8 (H, W, 3), ascending.

    Along the patient's axes number 0 is nearest the feet, the back or the left. Axial and coronal
    slices have the patient's right on the left, sagittal ones the face on the left; the head or
    the face is up. Slices as acquired are left as they are stored.

    Args:
        volume: What is cut.
        slices: How.
        asked: Numbers of the slices wanted; None for those that `slices` chooses.

    Raises:
        Unreadable: No such slice, slices of another shape than images have, or an axis of the
            patient where the file does not say how the voxels lie.
    """
    planes = _planes(volume, slices)
    count = len(planes)
    check_size(planes.shape[2], planes.shape[1])
    if slices.stack == 3 and count < 3:
        raise Unreadable(f"{count} slice(s), expected at least three for stacks of three")
    for number in slices.chosen(count) if asked is None else asked:
        if not 0 <= number < count:
            raise Unreadable(f"no such slice: there are 0 to {count - 1}")
        yield number, _image(planes, number, slices.stack)


def _image(planes: np.ndarray, number: int, stack: int) -> np.ndarray:
    if stack == 1:
        return as_rgb(planes[number])
    near = [min(max(number + step, 0), len(planes) - 1) for step in (-1, 0, 1)]
    return np.stack([planes[each] for each in near], axis=2)


def _planes(volume: Volume, slices: Slices) -> np.ndarray:
    """The volume as (slice, row, column), a view."""
    if slices.axis == "acquired":
        return volume.voxels.transpose(2, 1, 0)
    if volume.affine is None:
        raise Unreadable(
            "the file does not say how its slices lie; let data.volume.axis be acquired"
        )
    axis = _AXES[slices.axis]
    ras = _canonical(volume.voxels, volume.affine)
    planes = np.moveaxis(ras, axis, 0).swapaxes(1, 2)
    # Columns run right to left, or front to back; rows from the head or the face.
    return planes[:, ::-1, ::-1]


def _canonical(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The voxels with axes to the right, front and top, as closely as whole turns allow."""
    try:
        turns = nibabel.orientations.io_orientation(affine)
    except (ValueError, np.linalg.LinAlgError):
        raise Unreadable("damaged orientation") from None
    if np.isnan(turns).any():
        raise Unreadable("damaged orientation")
    turned: np.ndarray = nibabel.orientations.apply_orientation(voxels, turns)
    return turned
