"""From the numbers of a file to the uint8 pixels that nets see, by a rule that is stated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

MAX_PIXELS = 64_000_000
"""Of one image; checked before a pixel is decoded."""
MIN_SIDE = 8

Axis = Literal["axial", "coronal", "sagittal", "acquired"]
Window = tuple[float, float] | Literal["header", "own"]

_UNSTATED = (
    "more than 8 bits, and neither the file nor the configuration states a window "
    "(data.window: [low, high], or own)"
)


class Unreadable(Exception):
    """A file that is not a usable image; the message is the reason, in a few words, without
    anything that the file says of a person.

    Attributes:
        within: Name of the file that it is about, where several make one image; else empty.
    """

    def __init__(self, reason: str, within: str = "") -> None:
        super().__init__(reason)
        self.within = within


@dataclass(frozen=True)
class Slices:
    """Which images a volume is taken as.

    Attributes:
        axis: `axial`, `coronal` or `sagittal` of the patient, whatever way the voxels are stored;
            `acquired`: the file's own third axis, or the series' own order.
        every: Every k-th slice, so placed that as much is left out at either end.
        between: Shares of the axis, from the feet, the back or the left.
        stack: 1, or 3 for a slice between its two neighbours as red, green and blue.
    """

    axis: Axis = "axial"
    every: int = 1
    between: tuple[float, float] = (0.0, 1.0)
    stack: Literal[1, 3] = 1

    def chosen(self, count: int) -> range:
        """Numbers of the slices taken out of `count`, ascending."""
        low, high = (round(share * count) for share in self.between)
        high = max(high, low + 1)
        first = low + (high - low - 1) % self.every // 2
        return range(min(first, count - 1), min(high, count), self.every)


@dataclass(frozen=True)
class Reading:
    """How files become images: part of a trained model, which reads new files the same way.

    Attributes:
        window: Which values become black and white where pixels have more than 8 bits. A pair: in
            the file's units, after a DICOM's rescale slope and intercept. `header`: what the file
            states (a DICOM's VOI LUT or window, a NIfTI's cal_min and cal_max); a file that states
            none is unreadable. `own`: the file's own darkest and brightest value.
        slices: How volumes are cut; None where none are expected.
        channels: 3, or 1: colours become greys, and nets see one channel.
    """

    window: Window = "header"
    slices: Slices | None = None
    channels: Literal[1, 3] = 3

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        slices = None
        if self.slices:
            slices = {**vars(self.slices), "between": list(self.slices.between)}
        window = self.window if isinstance(self.window, str) else list(self.window)
        return {"window": window, "slices": slices, "channels": self.channels}


AS_STATED = Reading()
"""By what files state themselves; no volumes."""


def from_json(value: dict[str, Any] | None) -> Reading:
    """What `Reading.to_json` wrote; models from before it stretched each image by itself."""
    if value is None:
        return Reading("own")
    window, slices = value["window"], value["slices"]
    return Reading(
        window if window in ("header", "own") else (float(window[0]), float(window[1])),
        Slices(**{**slices, "between": tuple(slices["between"])}) if slices else None,
        value.get("channels", 3),
    )


def window_of(
    values: np.ndarray, window: Window, stated: tuple[float, float] | None
) -> tuple[float, float]:
    """The pair that black and white stand for.

    Args:
        values: All values of the file, without padding.
        window: Of the `Reading`.
        stated: What the file states; None for nothing.

    Raises:
        Unreadable: The file should state a window and does not, or values are not finite.
    """
    if not isinstance(window, str):
        return window
    if window == "header":
        if stated is None:
            raise Unreadable(_UNSTATED)
        return stated
    return float(values.min()), float(values.max())


def to_uint8(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as 0 … 255: `low` and below are 0, `high` and above 255; a flat image is 0.

    Raises:
        Unreadable: Values are not finite.
    """
    if not np.isfinite(low) or not np.isfinite(high) or not np.isfinite(values).all():
        raise Unreadable("infinite or missing pixel values")
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(scaled.clip(0.0, 255.0)).astype(np.uint8)


def check_size(width: int, height: int) -> None:
    """Raise Unreadable for an image that is too small or too large to be one."""
    if width * height > MAX_PIXELS:
        raise Unreadable("too many pixels")
    if min(width, height) < MIN_SIDE:
        raise Unreadable(f"smaller than {MIN_SIDE} pixels a side")


def as_rgb(pixels: np.ndarray, window: Window = "own") -> np.ndarray:
    """Grey or RGB pixels of any number type as uint8 (H, W, 3); uint8 is left as it is.

    Raises:
        Unreadable: Not (H, W), (H, W, 1) or (H, W, 3), not finite, or of another type than uint8
            where the window should come from a file's header.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise Unreadable(f"shape {pixels.shape}, expected (height, width) or (height, width, 3)")
    if pixels.dtype != np.uint8:
        pixels = to_uint8(pixels, *window_of(pixels, window, None))
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def greyed(pixels: np.ndarray) -> np.ndarray:
    """The brightness of uint8 (H, W, 3), thrice; greys are left as they are (ITU-R 601-2)."""
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        return pixels
    luma = Image.fromarray(np.ascontiguousarray(pixels), mode="RGB").convert("L")
    return np.repeat(np.asarray(luma)[:, :, None], 3, axis=2)


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Squeeze uint8 (H, W, 3) to (size, size, 3), bilinear with anti-aliasing."""
    if pixels.shape[:2] == (size, size):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels), mode="RGB")
    return np.asarray(squeezed(image, size))


def squeezed(image: Image.Image, size: int) -> Image.Image:
    """The same of an opened image."""
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.BILINEAR)
