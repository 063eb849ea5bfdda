"""The slices of a DICOM series, one a file, in their order in space."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from domains.healthcare.images.dicom import Frames, frames, guarded, opened
from domains.healthcare.images.pixels import Unreadable, Window
from domains.healthcare.images.space import Place, affine, heights, stated
from domains.healthcare.images.volume import MAX_VOXELS, Volume

_PLACE = [
    "SeriesInstanceUID",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "NumberOfFrames",
    "Rows",
    "Columns",
]


@dataclass(frozen=True, kw_only=True)
class _Place(Place):
    file: Path
    series: str
    number: int | None
    shape: tuple[int, int]


def patient_hash(file: Path, key: bytes) -> str:
    """The patient of a DICOM file as 16 hexadecimal digits; empty where it names none.

    Equal patients of equal issuers have equal hashes under one key, and nobody without the key can
    try ids out.

    Raises:
        Unreadable: No DICOM file.
    """
    names = ["PatientID", "IssuerOfPatientID"]

    def read() -> str:
        header = opened(file, [*names, "Rows"], pixels=False)
        return "\n".join(str(header.get(name) or "").strip() for name in names)

    found: str = guarded(read)
    if not found.partition("\n")[0]:
        return ""
    return hashlib.blake2b(
        found.encode(errors="replace"), digest_size=8, key=key[:64], person=b"dicom patient"
    ).hexdigest()


def grouped(files: list[Path]) -> Iterator[list[Path]]:
    """Files of one folder as series, a file of several frames or of no series by itself.

    A file that cannot be read stays alone, so that reading it says why.
    """
    series: dict[str, list[Path]] = {}
    for file in files:
        try:
            place = _place(file)
        except Unreadable:
            series[str(file)] = [file]
            continue
        series.setdefault(place.series or str(file), []).append(file)
    yield from series.values()


def read_series(files: list[Path], window: Window) -> Volume:
    """One volume of single-frame files, ordered by position, else by instance number.

    The window of the header is that of the first slice; `own` is that of the whole series.

    Raises:
        Unreadable: A slice is, or they differ in shape, are several series, have no order, or
            are coloured.
    """
    places = [_named(file, _place) for file in files]
    _check_alike(places)
    ordered, affine = _ordered(places)
    slices = [_named(place.file, frames) for place in ordered]
    if any(each.values.ndim != 3 or len(each.values) != 1 for each in slices):
        raise Unreadable("colours or several frames in the files of a series")
    pixels = _joined(slices).pixels(window)
    return Volume(pixels.transpose(2, 1, 0), affine)


def _named(file: Path, read: Callable[[Path], Any]) -> Any:
    """What `read` makes of a slice; Unreadable says which slice it is about."""
    try:
        return read(file)
    except Unreadable as reason:
        raise Unreadable(str(reason), file.name) from None


def _place(file: Path) -> _Place:
    def read() -> _Place:
        header = opened(file, _PLACE, pixels=False)
        several = int(header.get("NumberOfFrames") or 1) > 1
        number = header.get("InstanceNumber")
        return _Place(
            file=file,
            series="" if several else str(header.get("SeriesInstanceUID") or ""),
            number=None if number is None else int(number),
            shape=(int(header.get("Rows") or 0), int(header.get("Columns") or 0)),
            **stated(header),
        )

    found: _Place = guarded(read)
    return found


def _check_alike(places: list[_Place]) -> None:
    if len({place.series for place in places}) > 1:
        raise Unreadable("files of several series, expected one")
    if len({place.shape for place in places}) > 1:
        raise Unreadable("slices of different shapes in one series")
    rows, columns = places[0].shape
    if rows * columns * len(places) > MAX_VOXELS:
        raise Unreadable("too many voxels")


def _ordered(places: list[_Place]) -> tuple[list[_Place], np.ndarray | None]:
    """Slices in their order, and the affine matrix where positions tell it."""
    found = heights(places)
    if found is not None:
        order = np.argsort(found)
        ordered = [places[int(each)] for each in order]
        return ordered, affine(ordered)
    numbers = [place.number for place in places]
    if None in numbers or len(set(numbers)) < len(numbers):
        raise Unreadable("neither positions nor instance numbers tell the order of its slices")
    return sorted(places, key=lambda place: place.number or 0), None


def _joined(slices: list[Frames]) -> Frames:
    values = np.concatenate([each.values for each in slices])
    padding = None
    if any(each.padding is not None for each in slices):
        empty = np.zeros(slices[0].values.shape, bool)
        padding = np.concatenate([empty if s.padding is None else s.padding for s in slices])
    return replace(slices[0], values=values, padding=padding)
