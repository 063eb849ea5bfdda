"""Lung nodules of the LIDC as images, with radiologists' ratings as targets.

The images are silhouettes: how much nodule radiologists outlined along three axes. They hold no CT
grey values, and the ratings are readers' opinions, not pathology.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from domains.dataset import digest_file
from domains.errors import InputError
from domains.healthcare.images.draft import Draft, Pixels
from domains.splits import positions

SHAPE = ("lobulation", "spiculation", "sphericity", "margin")
"""Ratings, 1 to 5, that the source task predicts."""

CLASSES = {
    "malignancy": ("rated_benign", "rated_malignant"),
    "spiculation": ("smooth", "spiculated"),
}
"""Target tasks and their classes."""

_SIDE = 48
_SOURCE_SHARE = 0.5


def read_nodules(file: Path, task: str, folder: Path, size: int, key: bytes) -> Draft:
    """Images of one side of the patients: half of them serve the source task, half the target's.

    Args:
        file: Parquet of `domains.sources.fetch("lidc")`.
        task: `malignancy` (rated above 3 against below 3; 3 is left out), `spiculation` (3 or more
            against less), or `shape`, the source task on the other patients.
        folder: Receives the images.
        size: Their side.
        key: Of the split, from `domains.splits.split_key`.

    Raises:
        InputError: Unknown task.
    """
    frame = pd.read_parquet(file)
    side = positions(frame["patient_id"], _side_key(key)) < _SOURCE_SHARE
    keep = side == (task == "shape")
    if task == "malignancy":
        keep &= frame["malignancy"].to_numpy() != 3
    frame = frame[keep].reset_index(drop=True)
    _write(folder, frame["maps"], size)
    sizes = [name for name in frame if name.startswith("size_")]
    records = pd.DataFrame(
        {
            "id": frame["annotation_id"].astype(str),
            "patient": frame["patient_id"],
            **_target(frame, task),
            **{name: frame[name] for name in sizes},
        }
    )
    return Draft(
        folder,
        records,
        classes=CLASSES.get(task, ()),
        targets=SHAPE if task == "shape" else (),
        digest=digest_file(file),
        path=file,
        named=True,
    )


def _side_key(key: bytes) -> bytes:
    return hashlib.blake2b(b"source or target patient", key=key[:64]).digest()


def _target(frame: pd.DataFrame, task: str) -> dict[str, pd.Series]:
    if task == "shape":
        return {name: frame[name].astype(float) for name in SHAPE}
    if task == "malignancy":
        return {"label": (frame["malignancy"] > 3).astype(int)}
    if task == "spiculation":
        return {"label": (frame["spiculation"] >= 3).astype(int)}
    known = ", ".join(CLASSES)
    raise InputError(f"data.label: lidc has the tasks {known}; found {task!r}")


def _write(folder: Path, maps: pd.Series, size: int) -> None:
    with Pixels(folder, size) as out:
        for raw in maps:
            out.add(np.frombuffer(raw, np.uint8).reshape(_SIDE, _SIDE, 3))
