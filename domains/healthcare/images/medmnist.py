"""MedMNIST `.npz` files: three parts of small images, one label or several each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from domains.dataset import digest_file
from domains.errors import InputError
from domains.healthcare.images.draft import Draft, write_arrays
from domains.healthcare.images.intake import NO_PATIENTS, Intake
from domains.healthcare.images.parts import GIVEN
from domains.healthcare.images.pixels import Reading, Unreadable, as_rgb, check_size, greyed

_PARTS = ("train", "val", "test")


def read_medmnist(path: Path, intake: Intake, names: tuple[str, ...] = ()) -> Draft:
    """A MedMNIST `.npz` file, whose own train, val and test parts are kept.

    Labels (n, 1) are class numbers, binary, multi-class or ordinal; labels (n, k) are 0 or 1 for
    each of k labels.

    Args:
        path: The file.
        intake: How it is read.
        names: Of the classes or labels by number; empty for the numbers themselves.

    Raises:
        InputError: Missing or damaged file, pickled objects, missing arrays, labels of another
            form, three-dimensional images, one class only, or another number of names.
    """
    parts = [_part(path, name) for name in _PARTS]
    labels = _joined([pair[1] for pair in parts], path)
    lengths = [len(pair[1]) for pair in parts]
    ids = [f"{part}/{row}" for part, n in zip(_PARTS, lengths, strict=True) for row in range(n)]
    given = np.repeat([GIVEN[part] for part in _PARTS], lengths)
    records = pd.DataFrame({"id": ids, "patient": ids, "given": given})
    several = labels.shape[1] > 1
    classes = (
        _several(records, labels, names, path) if several else _one(records, labels, names, path)
    )
    images = _rgb([pair[0] for pair in parts], path, intake.reading)
    prints = write_arrays(intake.folder, images, intake.size, intake.reading.channels)
    digest = digest_file(path, intake.digest_key)
    return Draft(
        intake.folder, records, classes, (), digest, path, prints, [NO_PATIENTS], several, False
    )


def _one(
    records: pd.DataFrame, labels: np.ndarray, names: tuple[str, ...], path: Path
) -> tuple[str, ...]:
    found = np.unique(labels)
    if len(found) < 2:
        raise InputError(f"{path}: every label is {found[0]}, expected at least two classes")
    if names and (found[0] < 0 or found[-1] >= len(names)):
        raise InputError(
            f"{path}: labels {found[0]} to {found[-1]}, expected 0 to {len(names) - 1}, for "
            f"data.classes has {len(names)} names"
        )
    classes = np.arange(len(names)) if names else found
    records["label"] = np.searchsorted(classes, labels[:, 0])
    return names or tuple(map(str, found))


def _several(
    records: pd.DataFrame, labels: np.ndarray, names: tuple[str, ...], path: Path
) -> tuple[str, ...]:
    if not np.isin(labels, (0, 1)).all():
        raise InputError(f"{path}: {labels.shape[1]} labels an image, expected 0 or 1 for each")
    if names and len(names) != labels.shape[1]:
        raise InputError(
            f"{path}: {labels.shape[1]} labels an image, and data.classes has {len(names)} names; "
            "expected one for each"
        )
    names = names or tuple(str(number) for number in range(labels.shape[1]))
    for number, name in enumerate(names):
        records[f"is_{name}"] = labels[:, number].astype(np.int8)
    return names


def _part(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = (_array(path, f"{name}_{what}") for what in ("images", "labels"))
    if not len(images):
        raise InputError(f"{path}: {name}_images is empty")
    if images.dtype.kind not in "uif":
        raise InputError(
            f"{path}: {name}_images are {images.dtype}, expected whole or real numbers"
        )
    labels = labels.reshape(len(labels), -1)
    if labels.dtype.kind not in "iub":
        raise InputError(
            f"{path}: {name}_labels are {labels.dtype}, expected whole numbers (such as uint8)"
        )
    if len(images) != len(labels):
        raise InputError(
            f"{path}: {len(images)} images and {len(labels)} labels in {name}, expected as many"
        )
    return images, labels


def _array(path: Path, name: str) -> np.ndarray:
    """One array of at least one dimension."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.atleast_1d(arrays[name])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except KeyError:
        raise InputError(
            f"{path}: {name} is not in the file; expected images and labels of train, val and test"
        ) from None
    except Exception:  # noqa: BLE001 - numpy, zip and deflate raise anything at damaged files
        raise InputError(
            f"{path}: damaged, or holds objects that would need pickle; expected plain arrays"
        ) from None


def _joined(labels: list[np.ndarray], path: Path) -> np.ndarray:
    widths = {each.shape[1] for each in labels}
    if len(widths) > 1 or 0 in widths:
        raise InputError(f"{path}: {sorted(widths)} labels an image, expected the same everywhere")
    return np.concatenate(labels)


def _rgb(parts: list[np.ndarray], path: Path, reading: Reading) -> Iterator[np.ndarray]:
    for name, images in zip(_PARTS, parts, strict=True):
        for place, pixels in enumerate(images):
            try:
                rgb = as_rgb(pixels, reading.window)
                check_size(rgb.shape[1], rgb.shape[0])
                yield greyed(rgb) if reading.channels == 1 else rgb
            except Unreadable as error:
                raise InputError(f"{path}: image {place} of {name}_images: {error}") from None
