"""Labelled medical images, ready to learn from: read once, resized, split, kept as a folder.

>>> data = prepare(Request(kind="folder", path=Path("scans")), Path("out"), size=64,
...                key=split_key(0, None))                               # doctest: +SKIP
>>> data.images()[data.rows("train")].shape                             # doctest: +SKIP
(1400, 64, 64, 3)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from domains import sources
from domains.dataset import Dataset
from domains.healthcare.image_draft import IMAGES, SET_ASIDE, Draft
from domains.healthcare.image_duplicates import Fingerprints, pairs
from domains.healthcare.image_lidc import read_nodules
from domains.healthcare.image_readers import read_folder, read_manifest, read_medmnist
from domains.healthcare.image_split import EXCLUDED, PARTS, check_classes, check_left, split
from domains.splits import positions

_RECORDS, _PRINTS = "records.parquet", "prints.npz"


@dataclass(frozen=True)
class Request:
    """Which images, and how they are named.

    Attributes:
        kind: `builtin`, `folder`, `manifest` or `medmnist`.
        name: Built-in name, or the name reports use.
        path: Folder, manifest or `.npz` file; None for a built-in set.
        label: Manifest column, or the task of the built-in set.
        image, patient, split: Manifest columns; None where there is none.
        public: Whether the images are public.
        max_unreadable: Largest share of unreadable images to set aside.
        digest_key: Secret that keys the digest of private images; None for public ones.
        limit: At most about so many images, whole groups at a time; None for all.
    """

    kind: str
    name: str | None = None
    path: Path | None = None
    label: str = "label"
    image: str = "path"
    patient: str | None = None
    split: str | None = None
    public: bool = True
    max_unreadable: float = 0.05
    digest_key: bytes | None = None
    limit: int | None = None


@dataclass(frozen=True)
class ImageSet:
    """Images, labels and parts as files in one folder.

    Attributes:
        folder: Holds `images.npy` and `records.parquet`.
        dataset: What the run reports about the data.
        classes: Class names by number; the last one of two is the positive class.
        targets: Columns of real-valued targets, of a set without classes.
    """

    folder: Path
    dataset: Dataset
    classes: tuple[str, ...]
    targets: tuple[str, ...]

    def images(self) -> np.ndarray:
        """Memory-mapped uint8, (n, size, size, 3)."""
        images: np.ndarray = np.load(self.folder / IMAGES, mmap_mode="r")
        return images

    def records(self) -> pd.DataFrame:
        """One row an image: `id`, `patient`, `group`, `part`, `label` or targets, `size_…`."""
        return pd.read_parquet(self.folder / _RECORDS)

    def labels(self) -> np.ndarray:
        """Class numbers (n,), or targets (n, t) as float32."""
        records = self.records()
        if self.classes:
            return records["label"].to_numpy(dtype=np.int64)
        return records[list(self.targets)].to_numpy(dtype=np.float32)

    def rows(self, part: str) -> np.ndarray:
        """Row numbers of one part."""
        return np.flatnonzero(self.records()["part"].to_numpy() == part)

    def used(self) -> pd.DataFrame:
        """The records that take part in anything."""
        records = self.records()
        return records[records["part"] != EXCLUDED]

    def names_patients(self) -> bool:
        """Whether the patients are known; otherwise every image stands for a patient of its own."""
        records = self.records()
        return bool((records["patient"] != records["id"]).any())

    def moving(self, given: bool) -> list[tuple[str, str]]:
        """What places a patient beside the hash of their id: a given part, or a joined group.

        Pairs of patient and part where the split was given; else pairs of patient and group, for
        groups of more than one patient.
        """
        records = self.records()
        if not given:
            members = records.groupby("group")["patient"].transform("nunique")
            records = records[members > 1]
        pairs_of = records[["patient", "part" if given else "group"]].drop_duplicates()
        return [(str(one), str(other)) for one, other in pairs_of.itertuples(index=False)]

    def sizes(self) -> np.ndarray | None:
        """Size features (n, f) as float64, or None where the set has none."""
        records = self.records()
        names = [name for name in records.columns if str(name).startswith("size_")]
        return records[names].to_numpy(dtype=float) if names else None

    def set_aside(self) -> list[tuple[str, str]]:
        """Unreadable files and why they were left out."""
        file = self.folder / SET_ASIDE
        if not file.exists():
            return []
        rows = pd.read_csv(file, dtype=str)
        return list(zip(rows["file"], rows["reason"], strict=True))

    def split_counts(self) -> dict[str, dict[str, int]]:
        """Records and groups of each part."""
        by_part = self.records().groupby("part")["group"]
        return {
            part: {"records": int(by_part.size()[part]), "groups": int(by_part.nunique()[part])}
            for part in (*PARTS, EXCLUDED)
            if part in by_part.groups
        }


def prepare(request: Request, folder: Path, size: int, key: bytes) -> ImageSet:
    """Read, resize, split and store a set of images.

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
    records, notes = split(draft, key)
    kept = _within(records["group"], request.limit, key)
    if draft.prints is not None:
        prints = draft.prints
        np.savez(folder / _PRINTS, exact=prints.exact[kept], perceptual=prints.perceptual[kept])
    if len(kept) < len(records):
        _keep(folder, kept)
        records = records.iloc[kept].reset_index(drop=True)
    check_classes(records, draft.classes, str(draft.path))
    records.to_parquet(folder / _RECORDS)
    dataset = _dataset(request, draft, records, notes)
    return ImageSet(folder, dataset, draft.classes, draft.targets)


def _read(request: Request, folder: Path, size: int, key: bytes) -> Draft:
    """Send the request to its reader."""
    if request.kind == "builtin":
        file = sources.fetch(request.name or "lidc")
        return read_nodules(file, request.label, folder, size, key)
    if request.path is None:
        raise ValueError(f"a request of kind {request.kind} needs a path")
    share, secret = request.max_unreadable, request.digest_key
    if request.kind == "folder":
        return read_folder(request.path, folder, size, share, secret)
    if request.kind == "medmnist":
        return read_medmnist(request.path, folder, size, secret)
    columns = {
        "image": request.image,
        "label": request.label,
        "patient": request.patient,
        "split": request.split,
    }
    return read_manifest(request.path, columns, folder, size, share, secret)


def _within(groups: pd.Series, limit: int | None, key: bytes) -> np.ndarray:
    """Rows of whole groups, in an order fixed by the key, until `limit` images are reached."""
    if limit is None or len(groups) <= limit:
        return np.arange(len(groups))
    inner = hashlib.blake2b(b"subset of groups", key=key[:64]).digest()
    spots = positions(groups, inner)
    return np.flatnonzero(spots <= np.sort(spots)[limit - 1])


def _keep(folder: Path, rows: np.ndarray) -> None:
    """Cut the stored images to some rows."""
    kept = np.load(folder / IMAGES, mmap_mode="r")[rows]
    np.save(folder / IMAGES, kept)


def _dataset(request: Request, draft: Draft, records: pd.DataFrame, notes: list[str]) -> Dataset:
    builtin = sources.find(request.name or "lidc") if request.kind == "builtin" else None
    columns = tuple((str(name), str(kind)) for name, kind in draft.records.dtypes.items())
    return Dataset(
        name=request.name or draft.path.name.partition(".")[0],
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


def without_target(source: ImageSet, target: ImageSet) -> ImageSet:
    """Take the target set's pictures and patients out of a source set, and note how many.

    A base that has seen the target's test patients would make the target task look easy. Whoever
    shares a picture with the target leaves with all their images; where both sets name patients,
    so does everyone whose name the target has too.

    Raises:
        InputError: Too few source images are left to train and to validate on.
    """
    records = source.records()
    copies = _copied(source, target)
    known = np.zeros(len(records), dtype=bool)
    if source.names_patients() and target.names_patients():
        known = records["patient"].isin(target.records()["patient"]).to_numpy()
    groups = records["group"]
    out = groups.isin(groups[copies | known]).to_numpy()
    if not out.any():
        return source
    records.loc[out, "part"] = EXCLUDED
    check_left(records, source.classes, str(source.dataset.path))
    records.to_parquet(source.folder / _RECORDS)
    note = (
        f"{int(out.sum())} source images were left out: {int(copies.sum())} are copies of target "
        f"images, {int(known.sum())} show patients whom the target names too, the rest belong "
        "with these."
    )
    notes = (*source.dataset.notes, note)
    return replace(source, dataset=replace(source.dataset, notes=notes))


def _copied(source: ImageSet, target: ImageSet) -> np.ndarray:
    """Which source images the target holds too, (n,) bool."""
    found = np.zeros(len(source.records()), dtype=bool)
    files = [each.folder / _PRINTS for each in (source, target)]
    if all(file.exists() for file in files):
        left, right = (_prints(file) for file in files)
        found[pairs(left, right)[0]] = True
    return found


def _prints(file: Path) -> Fingerprints:
    with np.load(file, allow_pickle=False) as arrays:
        return Fingerprints(arrays["exact"], arrays["perceptual"])
