"""NIfTI files as volumes."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from domains.healthcare.images.pixels import Unreadable, Window, to_uint8, window_of
from domains.healthcare.images.volume import MAX_VOXELS, Volume

_DAMAGE = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    struct.error,
    zlib.error,
)


def read_nifti(path: Path | str, window: Window) -> Volume:
    """The grey values of a NIfTI file; all of its slices share one window.

    Raises:
        Unreadable: Damaged, not of three dimensions, colours or complex numbers, too many voxels,
            or no window where one is needed.
    """
    if os.path.isfile(path) and not os.path.getsize(path):
        raise Unreadable("empty file")
    try:
        image = nibabel.load(path)
        values = _values(image)
        header = image.header
        stated = (float(header["cal_min"]), float(header["cal_max"]))
        affine = np.asarray(image.affine, dtype=np.float64)
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except PermissionError:
        raise Unreadable("no permission to read it") from None
    except _DAMAGE:
        raise Unreadable("truncated or damaged") from None
    eight_bits = values.dtype == np.uint8
    if not eight_bits:
        low, high = window_of(values, window, stated if stated[1] > stated[0] else None)
        values = _by_slice(values, low, high)
    return Volume(values, affine)


def _values(image: nibabel.Nifti1Image) -> np.ndarray:
    shape = tuple(int(side) for side in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3:
        raise Unreadable(f"{len(shape)} dimensions, expected three")
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        raise Unreadable("too many voxels")
    kind = image.get_data_dtype()
    if kind.fields is not None or kind.kind not in "iuf":
        raise Unreadable("colours or complex numbers, expected grey values")
    plain = image.dataobj.slope == 1 and image.dataobj.inter == 0
    if plain:
        return np.asarray(image.dataobj).reshape(shape)
    return np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged")).reshape(shape)


def _by_slice(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """`to_uint8` of a volume (i, j, k), a slice at a time: doubles of a whole one are large."""
    out = np.empty(values.shape, np.uint8)
    for k in range(values.shape[2]):
        out[:, :, k] = to_uint8(values[:, :, k], low, high)
    return out
