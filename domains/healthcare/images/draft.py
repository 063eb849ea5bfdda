"""What a reader of images hands on: pixels on disk, one row a record, no split yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.images.duplicates import (
    HASH_BITS,
    Fingerprints,
    exact_hash,
    perceptual_hash,
)
from domains.healthcare.images.files import (
    check_regular,
    kind_of,
    pictures,
    series_files,
    volume_slices,
)
from domains.healthcare.images.pixels import Reading, Unreadable, resize

IMAGES = "images.npy"
SET_ASIDE = "set_aside.csv"


@dataclass(frozen=True)
class Draft:
    """Images read and resized, not yet split.

    Attributes:
        folder: Holds `images.npy`, uint8 (n, size, size, 3).
        records: One row an image: `id`, `patient`, and `label` (class number), or one column
            `is_CLASS` (0 or 1) for each of several labels, or targets (float); `size_…` where sizes
            are known; `given` where a split came with the data; `site`, `time` and further columns
            that were asked for.
        classes: Names by class number, or of the labels; empty for a set of targets.
        targets: Columns of real-valued targets; empty for a set of classes.
        digest: Of the files read.
        path: The file or folder asked for.
        prints: Hashes to find copies by; None where copies mean nothing.
        notes: What was found while reading.
        multilabel: Whether an image can have several labels, or none.
        named: Whether `patient` names patients, not images or volumes.
        hashed: Whether it does so by the keyed hash of what DICOM files name.
    """

    folder: Path
    records: pd.DataFrame
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    digest: str
    path: Path
    prints: Fingerprints | None = None
    notes: list[str] = field(default_factory=list)
    multilabel: bool = False
    named: bool = False
    hashed: bool = False


@dataclass(frozen=True)
class Item:
    """A file that holds the image of a record, or the slices of one or several.

    Attributes:
        file: The file, or the folder of a DICOM series; the first file of a listed series.
        rows: Its records.
        slices: Number of the slice that each of `rows` is; None where all chosen slices are
            images of the one record.
        series: All files of a series that was found in a folder; empty for other items.
    """

    file: Path
    rows: tuple[int, ...]
    slices: tuple[int, ...] | None = None
    series: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Written:
    """What became of the items.

    Attributes:
        prints: Hashes of the n images.
        rows: Record of each, (n,).
        slices: Number of the slice each is; -1 for a lone image, (n,).
        patients: Keyed hash of the patient that its DICOM file names, else empty, (n,).
        notes: On what was set aside.
    """

    prints: Fingerprints
    rows: np.ndarray
    slices: np.ndarray
    patients: np.ndarray
    notes: list[str]


class Pixels:
    """Writes `images.npy` image by image, so that no more than one is held.

    Args:
        folder: Receives it.
        size: Side of the images.
        channels: 3, or 1 for the first of them alone.
    """

    def __init__(self, folder: Path, size: int, channels: int = 3) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / IMAGES).open("wb")
        self._size, self._channels, self._count = size, channels, 0
        self._head()

    def add(self, pixels: np.ndarray) -> None:
        """Store uint8 (H, W, 3), resized."""
        self._file.write(resize(pixels, self._size)[..., : self._channels].tobytes())
        self._count += 1

    def __enter__(self) -> Pixels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Write the number of images, for which the head has left room."""
        self._file.seek(0)
        self._head()
        self._file.close()

    def _head(self) -> None:
        shape = (self._count, self._size, self._size, self._channels)
        head = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, head)


def write_arrays(
    folder: Path, images: Iterable[np.ndarray], size: int, channels: int = 3
) -> Fingerprints:
    """Resize and store arrays uint8 (H, W, 3) one by one; returns their hashes."""
    exact: list[str] = []
    bits: list[np.ndarray] = []
    with Pixels(folder, size, channels) as out:
        for pixels in images:
            out.add(pixels)
            exact.append(exact_hash(pixels))
            bits.append(np.packbits(perceptual_hash(pixels)))
    packed = np.array(bits, dtype=np.uint8).reshape(-1, HASH_BITS // 8)
    return Fingerprints(np.array(exact, dtype="U32"), np.unpackbits(packed, axis=1))


def write_files(
    folder: Path,
    items: Sequence[Item],
    size: int,
    reading: Reading,
    key: bytes,
    wrong: dict[int, tuple[str, str]],
    max_unreadable: float,
    where: str,
) -> Written:
    """Decode, resize and store files; set the unusable ones aside.

    Args:
        folder: Receives `images.npy`, and `set_aside.csv` with the file and reason of each.
        items: In record order.
        size: Side of the stored images.
        reading: How files become images.
        key: Of the hash that patients named in DICOM files leave as.
        wrong: Record → file and reason, of those that cannot be used whatever the file holds.
        max_unreadable: Largest share of records that may be set aside.
        where: The data's own name in messages.

    Raises:
        InputError: More than that cannot be used.
    """
    wrong = dict(wrong)
    records = sum(len(item.rows) for item in items) + len(wrong)
    found: list[tuple[int, int, str]] = []
    images = _images(items, reading, key, found, wrong)
    prints = write_arrays(folder, images, size, reading.channels)
    (folder / SET_ASIDE).unlink(missing_ok=True)
    notes: list[str] = []
    if wrong:
        _check_share(wrong, records, max_unreadable, where)
        notes = add_set_aside(folder, list(wrong.values()))
    rows, slices, patients = zip(*found, strict=True) if found else ((), (), ())
    return Written(
        prints,
        np.array(rows, dtype=int),
        np.array(slices, dtype=int),
        np.array(patients, dtype=object),
        notes,
    )


def _images(
    items: Sequence[Item],
    reading: Reading,
    key: bytes,
    found: list[tuple[int, int, str]],
    wrong: dict[int, tuple[str, str]],
) -> Iterator[np.ndarray]:
    """Every image of every item; what it is goes to `found`, why there is none to `wrong`."""
    for item in items:
        left = dict(zip(item.slices or (-1,), item.rows, strict=True))
        try:
            patient = _patient(item, key)
            for number, pixels in _pictures(item, reading):
                place = -1 if number is None else number
                row = left.pop(place) if item.slices else item.rows[0]
                left.pop(-1, None)
                found.append((row, place, patient))
                yield pixels
        except Unreadable as reason:
            where, within = item.file, ""
            if reason.within:
                where, within = _folder(item), f" ({reason.within})"
            for number, row in left.items():
                name = f"{where}{within}" if number < 0 else f"{where}#{number}{within}"
                wrong[row] = (name, str(reason))


def _pictures(item: Item, reading: Reading) -> Iterator[tuple[int | None, np.ndarray]]:
    if item.series:
        return volume_slices(list(item.series), reading)
    asked = None if item.slices is None else sorted(item.slices)
    return pictures(item.file, None, reading, asked)


def _patient(item: Item, key: bytes) -> str:
    """Keyed hash of the patient that a DICOM file names; empty for other files."""
    check_regular(item.file)
    kind = kind_of(item.file)
    if kind not in ("dicom", "series"):
        return ""
    from domains.healthcare.images.series import patient_hash

    if kind == "dicom":
        return patient_hash(item.file, key)
    first = series_files(item.file)[0]
    try:
        return patient_hash(first, key)
    except Unreadable as reason:
        raise Unreadable(str(reason), first.name) from None


def _folder(item: Item) -> Path:
    return item.file.parent if item.series else item.file


def _check_share(
    wrong: dict[int, tuple[str, str]], records: int, max_unreadable: float, where: str
) -> None:
    share = len(wrong) / records
    if share > max_unreadable or len(wrong) == records:
        file, reason = next(iter(wrong.values()))
        most = f"more than max_unreadable ({max_unreadable:.1%})"
        most = most if share > max_unreadable else "and none is left"
        raise InputError(
            f"{where}: {len(wrong)} of {records} images ({share:.1%}) cannot be used, "
            f"{most}: {_counted(wrong.values())}; the first is "
            f"{file} ({reason}); repair or remove them, or raise data.max_unreadable"
        )


def add_set_aside(folder: Path, found: Sequence[tuple[str, str]]) -> list[str]:
    """List files and reasons in `set_aside.csv`; returns a note that counts the reasons."""
    if not found:
        return []
    list_of, columns = folder / SET_ASIDE, ["file", "reason"]
    known = pd.read_csv(list_of, dtype=str) if list_of.exists() else pd.DataFrame(columns=columns)
    more = pd.DataFrame(list(found), columns=columns)
    pd.concat([known, more]).to_csv(list_of, index=False)
    return [f"{len(found)} unusable image(s) were set aside: {_counted(found)}."]


def _counted(wrong: Iterable[tuple[str, str]]) -> str:
    """How many there are of each reason."""
    reasons = Counter(reason for _, reason in wrong)
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
