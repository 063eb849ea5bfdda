"""Readers of a user's own images: a folder a class, a manifest, a MedMNIST file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from domains.dataset import digest_file, digest_files
from domains.errors import InputError
from domains.healthcare.image_draft import Draft, write_arrays, write_files
from domains.healthcare.image_files import SUFFIXES, Unreadable, as_rgb

GIVEN = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "calibration": "calibration",
    "test": "test",
    "testing": "test",
}
"""Spellings of a part in a split column."""

_PARTS = ("train", "val", "test")
_NO_PATIENTS = (
    "No patient ids came with these images: they are split one by one, and several images of one "
    "patient may stand on two sides."
)


def read_folder(
    root: Path, folder: Path, size: int, max_unreadable: float, digest_key: bytes | None
) -> Draft:
    """Images in one sub-folder a class; the sub-folders' names are the classes, sorted.

    Raises:
        InputError: No such folder, fewer than two classes, a class without an image, or too many
            unreadable files.
    """
    classes = _classes_of(root)
    files, labels = [], []
    for number, name in enumerate(classes):
        found = sorted(p for p in (root / name).rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(f"{root / name}: class {name!r} holds no PNG or JPEG image")
        files += found
        labels += [number] * len(found)
    records = pd.DataFrame({"id": [p.relative_to(root).as_posix() for p in files], "label": labels})
    records["patient"] = records["id"]
    return _from_files(root, files, records, classes, folder, size, max_unreadable, digest_key)


def _classes_of(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of images")
    classes = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != "."))
    if len(classes) < 2:
        found = f"one ({classes[0]})" if classes else "none"
        raise InputError(
            f"{root}: expected one sub-folder a class, at least two of them, found {found}"
        )
    return classes


def read_manifest(
    path: Path,
    columns: dict[str, str | None],
    folder: Path,
    size: int,
    max_unreadable: float,
    digest_key: bytes | None,
) -> Draft:
    """Images listed in a CSV file; paths in it are relative to the file's own folder.

    Args:
        path: The CSV file.
        columns: Names of the columns `image`, `label`, and of `patient` and `split` or None.
        folder: Receives the images.
        size: Their side.
        max_unreadable: Largest share of unreadable or missing images to set aside.
        digest_key: Secret that keys the digest of private data.

    Raises:
        InputError: The file is missing or empty, a column is missing, a row has no label, no
            patient or an unknown part, or one class only.
    """
    table = _table(path, columns)
    values = table[columns["label"]]
    classes = tuple(sorted(values.unique()))
    if len(classes) < 2:
        raise InputError(f"{path}, column {columns['label']}: every label is {classes[0]!r}")
    files = [path.parent / name for name in table[columns["image"]]]
    records = pd.DataFrame({"id": table[columns["image"]], "label": values.map(classes.index)})
    records["patient"] = table[columns["patient"]] if columns["patient"] else records["id"]
    if columns["split"]:
        records["given"] = _given(table[columns["split"]], path)
    return _from_files(path, files, records, classes, folder, size, max_unreadable, digest_key)


def _table(path: Path, columns: dict[str, str | None]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such manifest") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError):
        raise InputError(f"{path}: empty or not a CSV file in UTF-8") from None
    wanted = {key: name for key, name in columns.items() if name}
    for key, name in wanted.items():
        if name not in table:
            raise InputError(
                f"{path}: no column {name!r} (data.{key}); there are: {', '.join(table.columns)}"
            )
        blank = np.flatnonzero(table[name].str.strip() == "")
        if len(blank):
            raise InputError(f"{path}, row {blank[0] + 2}: column {name!r} is empty")
    if table.empty:
        raise InputError(f"{path}: no rows below the header")
    repeated = np.flatnonzero(table[columns["image"]].duplicated())
    if len(repeated):
        raise InputError(f"{path}, row {repeated[0] + 2}: names an image that stands above already")
    return table


def _given(values: pd.Series, path: Path) -> pd.Series:
    parts = values.str.strip().str.lower().map(GIVEN)
    unknown = np.flatnonzero(parts.isna())
    if len(unknown):
        row = int(unknown[0])
        raise InputError(
            f"{path}, row {row + 2}: split is {values.iloc[row]!r}, expected train, validation, "
            "calibration or test"
        )
    return parts


def _from_files(
    path: Path,
    files: list[Path],
    records: pd.DataFrame,
    classes: tuple[str, ...],
    folder: Path,
    size: int,
    max_unreadable: float,
    digest_key: bytes | None,
) -> Draft:
    prints, kept, notes = write_files(folder, files, size, max_unreadable, str(path))
    read = [files[row] for row in kept]
    return Draft(
        folder,
        records.iloc[kept].reset_index(drop=True),
        classes,
        (),
        digest_files([path, *read] if path.is_file() else read, digest_key),
        path,
        prints,
        notes if (records["patient"] != records["id"]).any() else [_NO_PATIENTS, *notes],
    )


def read_medmnist(path: Path, folder: Path, size: int, digest_key: bytes | None) -> Draft:
    """A MedMNIST `.npz` file, whose own train, val and test parts are kept.

    Raises:
        InputError: Missing or damaged file, pickled objects, missing arrays, more than one label
            an image, three-dimensional images, or one class only.
    """
    parts = [_part(path, name) for name in _PARTS]
    images, labels = [pair[0] for pair in parts], [pair[1] for pair in parts]
    lengths = [len(values) for values in labels]
    names = [f"{part}/{row}" for part, n in zip(_PARTS, lengths, strict=True) for row in range(n)]
    label = np.concatenate(labels)
    found = np.unique(label)
    if len(found) < 2:
        raise InputError(f"{path}: every label is {found[0]}")
    given = np.repeat([GIVEN[part] for part in _PARTS], lengths)
    records = pd.DataFrame(
        {"id": names, "label": np.searchsorted(found, label), "patient": names, "given": given}
    )
    prints = write_arrays(folder, _rgb(images, path), len(records), size)
    classes = tuple(str(value) for value in found)
    digest = digest_file(path, digest_key)
    return Draft(folder, records, classes, (), digest, path, prints, [_NO_PATIENTS])


def _part(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays[f"{name}_images"], arrays[f"{name}_labels"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except KeyError as error:
        raise InputError(f"{path}: {str(error.args[0]).split(' ')[0]} is not in the file") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: damaged, or holds objects that would need pickle") from None
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != 1:
        raise InputError(f"{path}: {labels.shape[1]} labels an image in {name}, expected one")
    if len(images) != len(labels):
        raise InputError(f"{path}: {len(images)} images and {len(labels)} labels in {name}")
    return images, labels[:, 0]


def _rgb(parts: list[np.ndarray], path: Path) -> Iterator[np.ndarray]:
    for images in parts:
        for pixels in images:
            try:
                yield as_rgb(pixels)
            except Unreadable as error:
                raise InputError(f"{path}: an image has {error}") from None
