"""One image file to uint8 arrays, or a plain reason why not."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from domains.healthcare.images.dicom_head import HEAD, is_dicom
from domains.healthcare.images.pixels import (
    Reading,
    Unreadable,
    as_rgb,
    check_size,
    greyed,
    resize,
    squeezed,
)

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".nii", ".nii.gz"})
"""File endings read as images."""
FOREIGN = frozenset(
    {".gif", ".bmp", ".tif", ".tiff", ".webp", ".jp2", ".heic", ".avif", ".jfif"}
    | {".mhd", ".mha", ".nrrd", ".nhdr", ".mgz", ".mgh", ".hdr"}
)
"""Endings of images in formats that are not read, and said so."""

_NAMED = (*SUFFIXES, *FOREIGN)
_PICTURES = (".png", ".jpg", ".jpeg")
_NIFTI = (".nii", ".nii.gz")
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
_DEEP_MODES = ("I", "F")  # 16-bit greys arrive in one of these, or as I;16 and its byte orders


def decode(path: Path | str, size: int | None = None, reading: Reading | None = None) -> np.ndarray:
    """Read a file that holds one image.

    A PNG or JPEG is turned as its EXIF orientation says; transparency is dropped, CMYK and palettes
    become RGB. Pixels of 8 bits are taken as they are, greys of more through the reading's window;
    colours of more are refused, for Pillow would cut them to their upper 8 bits.

    Args:
        path: The file.
        size: Side to squeeze it to, as `resize` does; None for its own.
        reading: How; None for `Reading()`.

    Returns:
        uint8, (H, W, 3) or (size, size, 3), red, green, blue; perhaps not to be written to.

    Raises:
        Unreadable: Missing, empty, truncated, animated, smaller than 8 pixels a side, more than 64
            million pixels (checked before a pixel is decoded), in need of a window that is not
            stated, in a format that is not read, or several images.
    """
    return _only(pictures(path, size, reading))


def decode_bytes(data: bytes, reading: Reading | None = None) -> np.ndarray:
    """Read a PNG, JPEG or DICOM file's bytes, as `decode` reads the file.

    Raises:
        Unreadable: As `decode`.
    """
    if is_dicom(data[:HEAD]):
        pixels = _only(_dicom(data, reading or Reading(), None))
        return greyed(pixels) if reading and reading.channels == 1 else pixels
    return _checked(data, None, reading or Reading())


def pictures(
    path: Path | str,
    size: int | None = None,
    reading: Reading | None = None,
    asked: list[int] | None = None,
) -> Iterator[tuple[int | None, np.ndarray]]:
    """Read all images of a file, or of the folder of a DICOM series.

    Args:
        path: The file or folder.
        size, reading: As in `decode`.
        asked: Numbers of the slices wanted; None for those that `reading.slices` chooses.

    Yields:
        Number of the slice or frame, None where there is one image alone, and pixels as `decode`.

    Raises:
        Unreadable: As `decode`; several images without `reading.slices` to choose by.
    """
    reading = reading or Reading()
    check_regular(path)
    kind = kind_of(path)
    if kind in ("nifti", "series"):
        found = volume_slices([Path(path)], reading, asked)
    elif kind == "dicom":
        found = _dicom(path, reading, asked)
    elif asked is not None:
        raise Unreadable(_ALONE)
    else:
        yield None, _checked(path, size, reading)
        return
    for number, pixels in found:
        seen = greyed(pixels) if reading.channels == 1 else pixels
        yield number, seen if size is None else resize(seen, size)


def kind_of(path: Path | str) -> str:
    """`picture`, `dicom`, `nifti`, or `series` for a folder, by its name or its first bytes."""
    name = str(path).lower()
    if name.endswith(_PICTURES):
        return "picture"
    if name.endswith(_NIFTI):
        return "nifti"
    if os.path.isdir(path):
        return "series"
    if name.endswith((".dcm", ".dicom")) or is_unnamed_dicom(path):
        return "dicom"
    return "picture"


def check_regular(path: Path | str) -> None:
    """Raise Unreadable for what is neither file nor folder, such as a pipe, which never ends."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise Unreadable("neither a file nor a folder")


def is_image_name(name: str) -> bool:
    """Whether a file's name says that it is an image, of a format that is read or not."""
    return name.lower().endswith(_NAMED)


def is_unnamed_dicom(path: Path | str) -> bool:
    """Whether a file of another ending, or of none, begins as DICOM does."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as stream:
            return is_dicom(stream.read(HEAD))
    except OSError:
        return False


def volume_slices(
    files: list[Path], reading: Reading, asked: list[int] | None = None
) -> Iterator[tuple[int | None, np.ndarray]]:
    """Slices of a NIfTI file, of the folder of a series, or of the files of one.

    Raises:
        Unreadable: As `pictures`.
    """
    from domains.healthcare.images.nifti import read_nifti
    from domains.healthcare.images.series import read_series
    from domains.healthcare.images.volume import cut

    if reading.slices is None:
        raise Unreadable("a volume, and data.volume does not say which slices to take")
    first = files[0]
    if kind_of(first) == "nifti":
        volume = read_nifti(first, reading.window)
    else:
        volume = read_series(series_files(first) if first.is_dir() else files, reading.window)
    yield from cut(volume, reading.slices, asked)


def series_files(folder: Path) -> list[Path]:
    """DICOM files of a folder, by name; Unreadable where there are none."""
    try:
        found = sorted(each for each in folder.iterdir() if each.name[0] != "." and each.is_file())
    except PermissionError:
        raise Unreadable("no permission to read it") from None
    files = [each for each in found if kind_of(each) == "dicom"]
    if not files:
        raise Unreadable("a folder without DICOM files")
    return files


def _dicom(
    source: Path | str | bytes, reading: Reading, asked: list[int] | None
) -> Iterator[tuple[int | None, np.ndarray]]:
    from domains.healthcare.images.dicom import images

    return images(source, reading.window, reading.slices, asked)


def _only(found: Iterator[tuple[int | None, np.ndarray]]) -> np.ndarray:
    images = [pixels for _, pixels in found]
    if len(images) != 1:
        raise Unreadable(f"{len(images)} images, expected one")
    return images[0]


def _checked(source: Path | str | bytes, size: int | None, reading: Reading) -> np.ndarray:
    if reading.slices and reading.slices.stack == 3:
        raise Unreadable(_ALONE)
    try:
        return _decode(BytesIO(source) if isinstance(source, bytes) else source, size, reading)
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except PermissionError:
        raise Unreadable("no permission to read it") from None
    except UnidentifiedImageError:
        length = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        raise Unreadable("empty file" if length == 0 else _NO_IMAGE) from None
    except _DAMAGE:
        raise Unreadable("truncated or damaged") from None


_ALONE = "one image alone, expected a volume of slices"
_NO_IMAGE = "not a PNG, JPEG, DICOM or NIfTI image"
_DEEP_COLOURS = "16 bits a colour or with transparency, expected greys of 16 bits or colours of 8"
_SEVERAL = {"MPO": "several pictures in one JPEG file, expected one"}


def _decode(source: Path | str | BytesIO, size: int | None, reading: Reading) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(source, formats=("PNG", "JPEG")) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise Unreadable(_SEVERAL.get(str(image.format), "animated"))
                check_size(*image.size)
                return _to_rgb(image, size, reading)
    except Image.DecompressionBombError:
        raise Unreadable("too many pixels") from None


def _to_rgb(image: Image.Image, size: int | None, reading: Reading) -> np.ndarray:
    if image.mode in _DEEP_MODES or image.mode.startswith("I;16"):
        deep = np.asarray(ImageOps.exif_transpose(image))
        pixels = as_rgb(deep, reading.window)
        return pixels if size is None else resize(pixels, size)
    if any(str(tile.args).endswith(";16B") for tile in getattr(image, "tile", ())):
        raise Unreadable(_DEEP_COLOURS)
    turned = ImageOps.exif_transpose(image)
    if reading.channels == 1:
        turned = turned.convert("RGB").convert("L")
    rgb = turned if turned.mode == "RGB" else turned.convert("RGB")
    return np.asarray(rgb if size is None else squeezed(rgb, size))
