"""Labelled medical images, ready to learn from: read once, resized, split, kept as a folder.

>>> data = prepare(Request(kind="folder", path=Path("scans")), Path("out"), size=64,
...                key=split_key(0, None))                               # doctest: +SKIP
>>> data.images()[data.rows("train")].shape                             # doctest: +SKIP
(1400, 64, 64, 3)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains import sources
from domains.dataset import Dataset
from domains.healthcare.images.draft import IMAGES, Draft, Pixels
from domains.healthcare.images.folder import read_folder
from domains.healthcare.images.intake import Intake
from domains.healthcare.images.lidc import read_nodules
from domains.healthcare.images.manifest import AS_NAMED, Columns, read_manifest
from domains.healthcare.images.medmnist import read_medmnist
from domains.healthcare.images.pixels import AS_STATED, Reading
from domains.healthcare.images.set import COPIES, PRINTS, RECORDS, ImageSet
from domains.healthcare.images.split import BY_PATIENT, Rule, check_classes, split
from domains.splits import positions


@dataclass(frozen=True)
class Request:
    """Which images, and how they are named.

    Attributes:
        kind: `builtin`, `folder`, `manifest` or `medmnist`.
        name: Built-in name, or the name reports use.
        path: Folder, manifest or `.npz` file; None for a built-in set.
        task: Of the built-in set.
        columns: Of a manifest; its class names are those of a folder and a MedMNIST file too.
        reading: How files become images.
        rule: Who is held out.
        whole: Nobody trains on these: all of them are test images, see `images.overlap.external`.
        public: Whether the images are public.
        max_unreadable: Largest share of unreadable images to set aside.
        digest_key: Secret that keys the digest of private images; None for public ones.
        limit: At most about so many images, whole groups at a time; None for all.
    """

    kind: str
    name: str | None = None
    path: Path | None = None
    task: str = "malignancy"
    columns: Columns = AS_NAMED
    reading: Reading = AS_STATED
    rule: Rule = BY_PATIENT
    whole: bool = False
    public: bool = True
    max_unreadable: float = 0.05
    digest_key: bytes | None = None
    limit: int | None = None


def prepare(request: Request, folder: Path, size: int, key: bytes) -> ImageSet:
    """Read, resize, split and store a set of images.

    What is stored is the outcome of every step that is the same each time (decoding, windowing,
    cutting volumes, resizing), done once; steps that are drawn anew each time are left to training.
    Images pass through one at a time: what is held grows with their number by hashes alone.

    Args:
        request: Which images.
        folder: Receives the set.
        size: Side of the stored images.
        key: Of the split, from `domains.splits.split_key`.

    Raises:
        InputError: The data are missing, damaged, of one class, or split through a patient, or a
            class is met in one part alone.
    """
    draft = _read(request, folder, size, key)
    records, notes = split(draft, key, request.rule, request.whole, request.max_unreadable)
    kept = _within(records["group"], request.limit, key)
    records = records.iloc[kept].reset_index(drop=True)
    if draft.prints is not None:
        exact, perceptual = draft.prints.exact[kept], draft.prints.perceptual[kept]
        np.savez(folder / PRINTS, exact=exact, perceptual=perceptual)
        _list_copies(records, exact, folder)
    if len(kept) < len(draft.records):
        _keep(folder, kept, size)
    if not request.whole:
        check_classes(records, draft.classes, str(draft.path))
    records.to_parquet(folder / RECORDS)
    return ImageSet(
        folder,
        _dataset(request, draft, records, notes),
        draft.classes,
        draft.targets,
        draft.multilabel,
        draft.named,
        request.reading,
        draft.hashed,
    )


def _read(request: Request, folder: Path, size: int, key: bytes) -> Draft:
    """Send the request to its reader."""
    if request.kind == "builtin":
        file = sources.fetch(request.name or "lidc")
        return read_nodules(file, request.task, folder, size, key)
    if request.path is None:
        raise ValueError(f"a request of kind {request.kind} needs a path")
    intake = Intake(folder, size, request.reading, key, request.max_unreadable, request.digest_key)
    if request.kind == "folder":
        return read_folder(request.path, intake, request.columns.classes)
    if request.kind == "medmnist":
        return read_medmnist(request.path, intake, request.columns.classes)
    return read_manifest(request.path, request.columns, intake)


def _list_copies(records: pd.DataFrame, exact: np.ndarray, folder: Path) -> None:
    """Write every image that has a copy, with its part, and whether the copy is exact."""
    several = records.groupby("cluster")["id"].transform("size") > 1
    if not several.any():
        return
    same = pd.Series(exact).duplicated(keep=False)
    found = records.loc[several, ["cluster", "id", "part"]].copy()
    found["copy"] = np.where(same[several], "exact", "near")
    found = found.rename(columns={"cluster": "picture", "id": "file"})
    found.sort_values(["picture", "part", "file"]).to_csv(folder / COPIES, index=False)


def _within(groups: pd.Series, limit: int | None, key: bytes) -> np.ndarray:
    """Rows of whole groups, in an order fixed by the key, until `limit` images are reached."""
    if limit is None or len(groups) <= limit:
        return np.arange(len(groups))
    inner = hashlib.blake2b(b"subset of groups", key=key[:64]).digest()
    spots = positions(groups, inner)
    return np.flatnonzero(spots <= np.sort(spots)[limit - 1])


def _keep(folder: Path, rows: np.ndarray, size: int) -> None:
    """Cut the stored images to some rows."""
    whole = np.load(folder / IMAGES, mmap_mode="r")
    with Pixels(folder / "kept", size, whole.shape[3]) as out:
        for row in rows:
            out.add(whole[row])
    (folder / "kept" / IMAGES).replace(folder / IMAGES)
    (folder / "kept").rmdir()


def _dataset(request: Request, draft: Draft, records: pd.DataFrame, notes: list[str]) -> Dataset:
    builtin = sources.find(request.name or "lidc") if request.kind == "builtin" else None
    columns = tuple((str(name), str(kind)) for name, kind in draft.records.dtypes.items())
    return Dataset(
        name=request.name or draft.path.name.strip(".").partition(".")[0],
        path=draft.path,
        digest=draft.digest,
        rows=len(records),
        columns=columns,
        public=builtin is not None or request.public,
        unit="image",
        licence=builtin.licence if builtin else "not stated",
        provenance=builtin.provenance if builtin else "files of the user's own",
        notes=tuple(draft.notes + notes),
    )
