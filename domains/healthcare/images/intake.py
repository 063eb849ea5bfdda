"""What all readers of a user's own files share: how files are taken in, and what is set aside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.images.digest import digest_of, stamps
from domains.healthcare.images.draft import Draft, Item, write_files
from domains.healthcare.images.files import (
    FOREIGN,
    series_files,
)
from domains.healthcare.images.pixels import Reading, Unreadable

NO_PATIENTS = (
    "No patient ids came with these images: they are split one by one, and several images of one "
    "patient may stand on two sides."
)
_NO_PATIENTS_OF_VOLUMES = (
    "No patient ids came with these volumes: the slices of one stay together, but several volumes "
    "of one patient may stand on two sides."
)
_FOREIGN = "an image in a format that is not read; expected PNG, JPEG, DICOM or NIfTI"


@dataclass(frozen=True)
class Intake:
    """How files are taken in.

    Attributes:
        folder: Receives the images.
        size: Their side.
        reading: How files become images.
        key: Of the split, and of the hash that patients of DICOM files leave as.
        max_unreadable: Largest share of unusable images to set aside.
        digest_key: Secret that keys the digest of private data; None for public ones.
    """

    folder: Path
    size: int
    reading: Reading
    key: bytes
    max_unreadable: float = 0.05
    digest_key: bytes | None = None


def from_items(
    path: Path,
    items: list[Item],
    records: pd.DataFrame,
    classes: tuple[str, ...],
    intake: Intake,
    wrong: dict[int, tuple[str, str]],
    named: bool,
    multilabel: bool = False,
) -> Draft:
    """Read the files of records.

    Args:
        path: The folder or manifest.
        items: Where the images of records are.
        records: A row a record, with `id` and `patient`.
        classes: See `Draft`.
        intake: How they are read.
        wrong: See `write_files`.
        named: Whether `patient` names patients; if not, a patient that a DICOM file names does.
        multilabel: See `Draft`.

    Raises:
        InputError: Too many unusable files.
    """
    foreign = [item for item in items if item.file.suffix.lower() in FOREIGN]
    items = [item for item in items if item.file.suffix.lower() not in FOREIGN]
    wrong = wrong | {row: (str(item.file), _FOREIGN) for item in foreign for row in item.rows}
    files = (file for item in items for file in _files(item))
    before = stamps([path, *files] if path.is_file() else files)
    found = write_files(
        intake.folder,
        items,
        intake.size,
        intake.reading,
        intake.key,
        wrong,
        intake.max_unreadable,
        str(path),
    )
    made = records.iloc[found.rows].reset_index(drop=True)
    sliced = found.slices >= 0
    made["id"] = np.where(sliced, made["id"] + "#" + found.slices.astype(str), made["id"])
    nameless, hashed = 0, False
    if not named:
        told = found.patients != ""
        made["patient"] = np.where(told, found.patients, made["patient"])
        named = hashed = bool(told.any())
        nameless = int((~told).sum())
    digest = digest_of(before, intake.digest_key)
    notes = [*_unnamed(named, sliced, nameless), *found.notes]
    return Draft(
        intake.folder,
        made,
        classes,
        (),
        digest,
        path,
        found.prints,
        notes,
        multilabel,
        named,
        hashed,
    )


def _files(item: Item) -> Sequence[Path]:
    """All files that an item is read from."""
    if item.series or not os.path.isdir(item.file):  # a Path refuses long names
        return item.series or (item.file,)
    try:
        return series_files(item.file)
    except Unreadable:
        return ()


def _unnamed(named: bool, sliced: np.ndarray, nameless: int) -> list[str]:
    if named and nameless:
        return [f"{nameless} image(s) name no patient, and are split as if each were one."]
    if named:
        return []
    return [_NO_PATIENTS_OF_VOLUMES if sliced.any() else NO_PATIENTS]
