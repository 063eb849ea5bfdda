"""One image file to one uint8 array, or a plain reason why not."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
"""File endings read as images."""

_MAX_PIXELS = 64_000_000
_MIN_SIDE = 8
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
_DEEP_MODES = ("I", "F")  # 16-bit greys arrive in one of these, or as I;16 and its byte orders


class Unreadable(Exception):
    """A file that is not a usable image; the message is the reason, in a few words."""


def decode(path: Path | str, size: int | None = None) -> np.ndarray:
    """Read a PNG or JPEG file.

    Greys of more than 8 bits are stretched from their own darkest to their own brightest pixel,
    for a 12-bit image in a 16-bit file would otherwise be nearly black. Transparency is dropped.

    Args:
        path: The file.
        size: Side to squeeze it to, as `resize` does; None for its own.

    Returns:
        uint8, (H, W, 3) or (size, size, 3), red, green, blue; perhaps not to be written to.

    Raises:
        Unreadable: Missing, empty, truncated, animated, smaller than 8 pixels a side, or more than
            64 million pixels (checked before a pixel is decoded).
    """
    try:
        return _decode(path, size)
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except UnidentifiedImageError:
        raise Unreadable(_kind_of_damage(os.path.getsize(path))) from None
    except _DAMAGE:
        raise Unreadable("truncated or damaged") from None


def decode_bytes(data: bytes) -> np.ndarray:
    """Read a PNG or JPEG file's bytes, as `decode` reads the file.

    Raises:
        Unreadable: As `decode`.
    """
    try:
        return _decode(BytesIO(data), None)
    except UnidentifiedImageError:
        raise Unreadable(_kind_of_damage(len(data))) from None
    except _DAMAGE:
        raise Unreadable("truncated or damaged") from None


def _decode(source: Path | str | BytesIO, size: int | None) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source, formats=("PNG", "JPEG")) as image:
                _check(image)
                return _to_rgb(image, size)
    except Image.DecompressionBombError:
        raise Unreadable("too many pixels") from None


def _kind_of_damage(size: int) -> str:
    return "empty file" if size == 0 else "not a PNG or JPEG image"


def _check(image: Image.Image) -> None:
    if getattr(image, "n_frames", 1) > 1:
        raise Unreadable("animated")
    width, height = image.size
    if width * height > _MAX_PIXELS:
        raise Unreadable("too many pixels")
    if min(width, height) < _MIN_SIDE:
        raise Unreadable(f"smaller than {_MIN_SIDE} pixels a side")


def _to_rgb(image: Image.Image, size: int | None) -> np.ndarray:
    if image.mode in _DEEP_MODES or image.mode.startswith("I;16"):
        pixels = as_rgb(np.asarray(image))
        return pixels if size is None else resize(pixels, size)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return np.asarray(rgb if size is None else _squeezed(rgb, size))


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Grey or RGB pixels of any number type as uint8 (H, W, 3); only uint8 is left unstretched.

    Raises:
        Unreadable: Not (H, W), (H, W, 1) or (H, W, 3), or not finite.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise Unreadable(f"shape {pixels.shape}, expected (height, width) or (height, width, 3)")
    if pixels.dtype != np.uint8:
        pixels = _stretch(pixels)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def _stretch(pixels: np.ndarray) -> np.ndarray:
    values = pixels.astype(np.float64)
    low, high = values.min(), values.max()
    if not np.isfinite(high - low):
        raise Unreadable("infinite or missing pixel values")
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return np.rint(scaled).astype(np.uint8)


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Squeeze uint8 (H, W, 3) to (size, size, 3), bilinear with anti-aliasing."""
    if pixels.shape[:2] == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels), mode="RGB")
    return np.asarray(_squeezed(image, size))


def _squeezed(image: Image.Image, size: int) -> Image.Image:
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)
