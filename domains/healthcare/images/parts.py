"""How the parts of a split that comes with the data are spelled."""

from __future__ import annotations

from pathlib import Path

from domains.errors import InputError

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


def check_not_parts(root: Path, folders: tuple[str, ...]) -> None:
    """Raise InputError where all sub-folders of a folder of classes are named as parts are."""
    parts = {GIVEN.get(name.lower(), ""): name for name in folders}
    if not folders or "" in parts:
        return
    train = parts.get("train", folders[0])
    test = parts.get("test", "")
    beside = f" and test: {{kind: folder, path: {root / test}}}" if test and test != train else ""
    raise InputError(
        f"{root}: expected one sub-folder a class, found parts of a split ({', '.join(folders)}); "
        f"point path at {root / train}{beside}, or list the files in a manifest with a split column"
    )
