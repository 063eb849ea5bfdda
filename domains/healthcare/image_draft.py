"""What a reader of images hands on: pixels on disk, one row a record, no split yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.image_duplicates import (
    HASH_BITS,
    Fingerprints,
    exact_hash,
    perceptual_hash,
)
from domains.healthcare.image_files import Unreadable, decode, resize

IMAGES = "images.npy"
SET_ASIDE = "set_aside.csv"


@dataclass(frozen=True)
class Draft:
    """Images read and resized, not yet split.

    Attributes:
        folder: Holds `images.npy`, uint8 (n, size, size, 3).
        records: One row an image: `id`, `patient`, and `label` (class number) or targets (float);
            `size_…` where sizes are known; `given` where a split came with the data.
        classes: Names by class number; empty for a set of targets.
        targets: Columns of real-valued targets; empty for a set of classes.
        digest: Of the files read.
        paths: The file or folder asked for.
        prints: Hashes to find copies by; None where copies mean nothing.
        notes: What was found while reading.
    """

    folder: Path
    records: pd.DataFrame
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    digest: str
    path: Path
    prints: Fingerprints | None = None
    notes: list[str] = field(default_factory=list)


def create(folder: Path, count: int, size: int) -> np.memmap:
    """An empty `images.npy` in `folder`, uint8 (count, size, size, 3), written through memory."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, size, size, 3)
    return np.lib.format.open_memmap(folder / IMAGES, mode="w+", dtype=np.uint8, shape=shape)


def write_arrays(folder: Path, images: Iterable[np.ndarray], count: int, size: int) -> Fingerprints:
    """Resize and store arrays uint8 (H, W, 3) one by one; returns their hashes."""
    out, exact, perceptual = create(folder, count, size), [], []
    for row, pixels in enumerate(images):
        out[row] = resize(pixels, size)
        exact.append(exact_hash(pixels))
        perceptual.append(perceptual_hash(pixels))
    out.flush()
    return Fingerprints(
        np.array(exact, dtype="U32"), np.array(perceptual, dtype=np.uint8).reshape(-1, HASH_BITS)
    )


def write_files(
    folder: Path, files: list[Path], size: int, max_unreadable: float, where: str
) -> tuple[Fingerprints, np.ndarray, list[str]]:
    """Decode, resize and store files; set the unreadable ones aside.

    Args:
        folder: Receives `images.npy`, and `set_aside.csv` with the file and reason of each.
        files: In record order.
        size: Side of the stored images.
        max_unreadable: Largest share of files that may be set aside.
        where: The data's own name in messages.

    Returns:
        Hashes of the readable images, their positions in `files`, and notes.

    Raises:
        InputError: More files than that cannot be read.
    """
    reasons: dict[int, str] = {}
    kept = _readable(files, reasons)
    prints = write_arrays(folder, kept, len(files), size)
    if not reasons:
        return prints, np.arange(len(files)), []
    first = next(iter(reasons))
    share = len(reasons) / len(files)
    if share > max_unreadable:
        raise InputError(
            f"{where}: {len(reasons)} of {len(files)} images ({share:.1%}) cannot be read, more "
            f"than max_unreadable ({max_unreadable:.1%}); the first is {files[first]} "
            f"({reasons[first]}); repair or remove them, or raise data.max_unreadable"
        )
    return prints, _set_aside(folder, files, reasons), [_note(reasons)]


def _readable(files: list[Path], reasons: dict[int, str]) -> Iterator[np.ndarray]:
    for row, path in enumerate(files):
        try:
            yield decode(path)
        except Unreadable as error:
            reasons[row] = str(error)


def _set_aside(folder: Path, files: list[Path], reasons: dict[int, str]) -> np.ndarray:
    """List the unreadable files, and cut the array to the readable ones."""
    rows = {"file": [str(files[row]) for row in reasons], "reason": list(reasons.values())}
    pd.DataFrame(rows).to_csv(folder / SET_ASIDE, index=False)
    whole = np.load(folder / IMAGES, mmap_mode="r")
    kept = len(files) - len(reasons)
    part = create(folder / "readable", kept, whole.shape[1])
    part[:] = whole[:kept]
    part.flush()
    (folder / "readable" / IMAGES).replace(folder / IMAGES)
    (folder / "readable").rmdir()
    return np.setdiff1d(np.arange(len(files)), list(reasons))


def _note(reasons: dict[int, str]) -> str:
    counts = Counter(reasons.values())
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f"{len(reasons)} unreadable image(s) were set aside: {listed}."
