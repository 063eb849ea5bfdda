"""DICOM files as pixels. Names, ids, dates and UIDs stay in here.

Only the elements that pixels need are parsed, so that no other one can reach a message; a patient
leaves as a keyed hash. MONAI's reader would hand on the whole header.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from domains.healthcare.images.codestream import stated_size
from domains.healthcare.images.dicom_head import HEAD, is_dicom, is_marked
from domains.healthcare.images.dicom_values import ELEMENTS, colours, grey, plain_bytes
from domains.healthcare.images.pixels import (
    Slices,
    Unreadable,
    Window,
    as_rgb,
    check_size,
    to_uint8,
    window_of,
)
from domains.healthcare.images.space import Place, affine, heights, places
from domains.healthcare.images.volume import MAX_VOXELS, Volume, cut

DICOM = (".dcm", ".dicom")
"""Endings of DICOM files; a file without an ending is one if it begins as one."""

Source = Path | str | bytes

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_HEAD = 4096
_RLE_AT_MOST = 1.1  # of the bytes it stands for; its runs can also unfold to 64 times their length
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").disabled = True  # its warnings quote what stands in a file


@dataclass(frozen=True)
class Frames:
    """Decoded frames of one file.

    Attributes:
        values: Grey values (f, H, W) as float32, or uint8 colours (f, H, W, 3).
        stated: Black and white as the header states them; None where it does not.
        padding: Which values are no measurement, as `values`; None where none are.
        inverted: Whether low values are bright.
        plain: Whether they are brightness of 8 bits, which no window but the header's changes.
        places: Where grey frames lie; empty for a lone one.
    """

    values: np.ndarray
    stated: tuple[float, float] | None = None
    padding: np.ndarray | None = None
    inverted: bool = False
    plain: bool = False
    places: tuple[Place, ...] = ()

    def pixels(self, window: Window) -> np.ndarray:
        """uint8, (f, H, W) or (f, H, W, 3).

        Raises:
            Unreadable: No window where one is needed.
        """
        if self.values.ndim == 4:
            return self.values
        measured = self.values if self.padding is None else self.values[~self.padding]
        if not measured.size:
            return np.zeros(self.values.shape, np.uint8)
        low, high = window_of(measured, "header" if self.plain else window, self.stated)
        out = np.empty(self.values.shape, np.uint8)
        for number, frame in enumerate(self.values):
            out[number] = to_uint8(frame, low, high)
        if self.inverted:
            np.subtract(255, out, out=out)
        if self.padding is not None:
            out[self.padding] = 0
        return out


def images(
    source: Source, window: Window, slices: Slices | None, asked: list[int] | None = None
) -> Iterator[tuple[int | None, np.ndarray]]:
    """Number and pixels, uint8 (H, W, 3), of the images of one file; a lone one has no number.

    Args:
        source: The file, or its bytes.
        window: Of the `Reading`.
        slices: Which frames are taken where there are several.
        asked: Numbers of the frames wanted; None for those that `slices` chooses.

    Raises:
        Unreadable: Damaged, without pixels, compressed in a way that cannot be read, no window
            where one is needed, or several frames and no word on which to take.
    """
    found = frames(source)
    if len(found.values) == 1 and (slices is None or slices.stack == 1) and asked is None:
        yield None, as_rgb(found.pixels(window)[0])
        return
    if len(found.values) == 1 and slices is not None and slices.stack == 3:
        raise Unreadable("1 slice(s), expected at least three for stacks of three")
    if slices is None:
        raise Unreadable(f"{len(found.values)} frames, and data.volume does not say which to take")
    pixels = found.pixels(window)
    if pixels.ndim == 3:
        yield from cut(_volume(pixels, found.places, slices), slices, asked)
    elif slices.stack == 3:
        raise Unreadable("colours, which cannot be stacked by threes")
    else:
        for number in slices.chosen(len(pixels)) if asked is None else asked:
            if not 0 <= number < len(pixels):
                raise Unreadable(f"no such frame: there are 0 to {len(pixels) - 1}")
            yield number, pixels[number]


def _volume(pixels: np.ndarray, where: tuple[Place, ...], slices: Slices) -> Volume:
    """Grey frames (f, H, W) by where they lie, or as they are stored."""
    found = heights(where) if slices.axis != "acquired" else None
    if found is None:
        return Volume(pixels.transpose(2, 1, 0), None)
    order = np.argsort(found)
    return Volume(pixels[order].transpose(2, 1, 0), affine([where[each] for each in order]))


def frames(source: Source) -> Frames:
    """All frames of one file.

    Raises:
        Unreadable: As `images`.
    """
    return guarded(lambda: _frames(opened(source, ELEMENTS)))


def guarded(read: Any) -> Any:
    """What `read` returns; Unreadable for whatever pydicom raises, without pydicom's words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except PermissionError:
        raise Unreadable("no permission to read it") from None
    except Unreadable:
        raise
    except Exception:  # noqa: BLE001 - pydicom and its decoders raise anything at damaged files
        raise Unreadable("truncated or damaged DICOM file") from None


def opened(source: Source, elements: list[str], pixels: bool = True) -> pydicom.Dataset:
    """The header, cut to some elements.

    Raises:
        Unreadable: No DICOM file, or a deflated one, whose size is not known before it is read.
    """
    named = not isinstance(source, bytes) and str(source).lower().endswith(DICOM)
    file: Any = BytesIO(source) if isinstance(source, bytes) else source
    head = source[:_HEAD] if isinstance(source, bytes) else _head(source)
    if not head:
        raise Unreadable("empty file")
    if not is_dicom(head[:HEAD]) and not named:
        raise Unreadable("not a DICOM file")
    if _DEFLATED in head:
        raise Unreadable("deflated DICOM file; write it without deflation")
    dataset = pydicom.dcmread(
        file, force=not is_marked(head), specific_tags=elements, stop_before_pixels=not pixels
    )
    if not is_marked(head) and "Rows" not in dataset:
        raise Unreadable("not a DICOM file")
    return dataset


def _head(file: Path | str) -> bytes:
    with open(file, "rb") as stream:
        return stream.read(_HEAD)


def _frames(dataset: pydicom.Dataset) -> Frames:
    _check_pixels(dataset)
    _check_syntax(dataset)
    kind = str(dataset.PhotometricInterpretation).strip()
    side = (int(dataset.Rows), int(dataset.Columns))
    _check_compressed(dataset, side)
    several = () if int(dataset.get("SamplesPerPixel") or 1) == 1 else (3,)
    stored = np.asarray(pixel_array(dataset)).reshape(-1, *side, *several)
    if kind.startswith("MONOCHROME"):
        values, stated, padding = grey(dataset, stored)
        where = places(dataset, len(values)) if len(values) > 1 else ()
        inverted, plain = kind == "MONOCHROME1", plain_bytes(dataset)
        return Frames(values, stated, padding, inverted, plain, where)
    return Frames(colours(dataset, stored, kind))


def _check_pixels(dataset: pydicom.Dataset) -> None:
    """Raise Unreadable unless there are pixels, and not too many."""
    if not any(dataset.get(name) for name in ELEMENTS[:3]):
        raise Unreadable("DICOM file without pixel data")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    check_size(columns, rows)
    if rows * columns * int(dataset.get("NumberOfFrames") or 1) > MAX_VOXELS:
        raise Unreadable("too many pixels")


def _check_compressed(dataset: pydicom.Dataset, side: tuple[int, int]) -> None:
    """Raise Unreadable for a compressed picture that would unfold to more than its header says."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    samples = side[0] * side[1] * int(dataset.get("SamplesPerPixel") or 1)
    most = _RLE_AT_MOST * samples * int(dataset.BitsAllocated) / 8 + _HEAD
    count = int(dataset.get("NumberOfFrames") or 1)
    for picture in generate_frames(dataset.PixelData, number_of_frames=count):
        fits = len(picture) <= most if syntax == RLELossless else stated_size(picture) == side
        if not fits:
            raise Unreadable("DICOM file whose pixels are of another size than its header says")


def _check_syntax(dataset: pydicom.Dataset) -> None:
    """Raise Unreadable for a transfer syntax that no decoder here reads."""
    meta = dataset.file_meta
    if "TransferSyntaxUID" not in meta:
        implicit, little = dataset.original_encoding
        plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    syntax = UID(meta.TransferSyntaxUID)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        known = syntax.name if syntax.name != syntax else "unknown"
        raise Unreadable(f"transfer syntax that cannot be read: {known}") from None
    deep = syntax == _JPEG_EXTENDED and int(dataset.BitsStored) > 8
    if not decoder.is_available or (deep and len(decoder.available_plugins) < 2):
        raise Unreadable(f"transfer syntax {syntax.name}: reading it needs the package python-gdcm")
