"""What the stored numbers of a DICOM image mean: rescaled, windowed, padded, coloured.

Sections of the standard are those of DICOM PS3.3.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi

from domains.healthcare.images.pixels import Unreadable, to_uint8

ELEMENTS = [
    "PixelData",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
"""All that is parsed of a file for its pixels."""

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
_SIGMOID = "SIGMOID"


def grey(
    dataset: Dataset, stored: np.ndarray
) -> tuple[np.ndarray, tuple[float, float] | None, np.ndarray | None]:
    """Values in the units of the header, what it shows as black and white, and the padding.

    Rescale slope and intercept, or a modality LUT (C.11.1), of the file or of each frame. A VOI LUT
    or a sigmoid (C.11.2) is applied at once. Several windows: the first; those of several frames:
    the first frame's, so that the frames of one volume stay comparable.

    Args:
        dataset: The header.
        stored: Numbers as stored, (f, H, W).

    Returns:
        float32 (f, H, W); the window or None; bool (f, H, W) or None.
    """
    out = np.empty(stored.shape, np.float32)
    for number, frame in enumerate(stored):
        group = next(groups(dataset, "PixelValueTransformationSequence", number), dataset)
        out[number] = apply_modality_lut(frame, group)
    stated = _stated(dataset, out)
    if stated is None and plain_bytes(dataset):
        least = -(2 ** int(dataset.BitsStored) // 2) if dataset.PixelRepresentation else 0
        stated = (float(least), float(least + 2 ** int(dataset.BitsStored) - 1))
    return out, stated, _padding(dataset, stored)


def plain_bytes(dataset: Dataset) -> bool:
    """Whether the stored numbers are brightness of at most 8 bits and nothing else.

    Many writers state a rescale of slope 1 and intercept 0, which changes nothing.
    """
    group = next(groups(dataset, "PixelValueTransformationSequence", 0), dataset)
    slope, intercept = group.get("RescaleSlope"), group.get("RescaleIntercept")
    same = (slope is None or slope == 1) and not intercept and "ModalityLUTSequence" not in dataset
    return int(dataset.get("BitsStored", 32)) <= 8 and same


def _stated(dataset: Dataset, values: np.ndarray) -> tuple[float, float] | None:
    """The window of the header; values are changed where it is no straight line."""
    if dataset.get("VOILUTSequence"):
        values[...] = apply_voi(values.astype(np.int32), dataset)
        return 0.0, float(2 ** int(dataset.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    group = next(groups(dataset, "FrameVOILUTSequence", 0), dataset)
    if group.get("WindowCenter") is None or group.get("WindowWidth") is None:
        return None
    center, width = (_first(group[name].value) for name in ("WindowCenter", "WindowWidth"))
    function = str(group.get("VOILUTFunction") or "LINEAR").strip()
    if function == _SIGMOID:
        values[...] = 1.0 / (1.0 + np.exp(-4.0 * (values - center) / width))
        return 0.0, 1.0
    half = (width - 1.0) / 2.0 if function == "LINEAR" else width / 2.0
    middle = center - 0.5 if function == "LINEAR" else center
    return (middle - half, middle + half) if half > 0 else (middle - 0.5, middle + 0.5)


def _first(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except TypeError:
        return float(value[0])  # type: ignore[index]


def groups(dataset: Dataset, name: str, frame: int) -> Iterator[Dataset]:
    """Where an enhanced file keeps something: of the frame, then of all frames (C.7.6.16).

    Args:
        dataset: The header.
        name: Of the functional group.
        frame: Number of the frame.
    """
    for above, place in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = dataset.get(above) or []
        if place < len(groups) and groups[place].get(name):
            yield groups[place][name].value[0]


def _padding(dataset: Dataset, stored: np.ndarray) -> np.ndarray | None:
    """Where the numbers fill the field and measure nothing (C.7.5.1.1.2)."""
    if dataset.get("PixelPaddingValue") is None:
        return None
    first = int(dataset.PixelPaddingValue)
    last = int(dataset.get("PixelPaddingRangeLimit", first))
    mask: np.ndarray = (stored >= min(first, last)) & (stored <= max(first, last))
    return mask if mask.any() else None


def colours(dataset: Dataset, stored: np.ndarray, kind: str) -> np.ndarray:
    """uint8 (f, H, W, 3) of colours, which pydicom has turned from YBR to RGB, or of a palette.

    Raises:
        Unreadable: Another photometric interpretation.
    """
    if kind == "PALETTE COLOR":
        bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
        stored = np.stack([apply_color_lut(frame, dataset) for frame in stored])[..., :3]
    elif kind in _COLOURS:
        bits = int(dataset.BitsStored)
    else:
        raise Unreadable("photometric interpretation that cannot be read")
    if bits == 8 and stored.dtype == np.uint8:
        return stored
    return to_uint8(stored, 0.0, float(2**bits - 1))
