"""A prepared set of images: pixels, records and parts as files in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.dataset import Dataset
from domains.healthcare.images.draft import IMAGES, SET_ASIDE
from domains.healthcare.images.pixels import AS_STATED, Reading
from domains.healthcare.images.split import EXCLUDED, PARTS

RECORDS, PRINTS, COPIES = "records.parquet", "prints.npz", "copies.csv"


@dataclass(frozen=True)
class ImageSet:
    """Images, labels and parts as files in one folder.

    Attributes:
        folder: Holds `images.npy` and `records.parquet`.
        dataset: What the run reports about the data.
        classes: Class names by number; the last one of two is the positive class.
        targets: Columns of real-valued targets, of a set without classes.
        multilabel: Whether an image can have several of `classes`, or none.
        named: Whether the patients are known; otherwise every image or volume stands for one.
        reading: How its files became images.
        hashed: Whether patients are known by the keyed hash of what DICOM files name.
    """

    folder: Path
    dataset: Dataset
    classes: tuple[str, ...]
    targets: tuple[str, ...]
    multilabel: bool = False
    named: bool = False
    reading: Reading = AS_STATED
    hashed: bool = False

    def images(self) -> np.ndarray:
        """Memory-mapped uint8, (n, size, size, channels), channels 3 or, if so read, 1."""
        images: np.ndarray = np.load(self.folder / IMAGES, mmap_mode="r")
        return images

    def records(self) -> pd.DataFrame:
        """One row an image: `id`, `patient`, `group`, `part`, and `label`, `is_…` or targets.

        Where they are known also `site`, `time` (UTC), further columns asked for (text), `size_…`;
        `cluster` is the number of the picture that copies share.
        """
        return pd.read_parquet(self.folder / RECORDS)

    def labels(self) -> np.ndarray:
        """Class numbers (n,) int64, several labels (n, k) int8, or targets (n, t) float32."""
        records = self.records()
        if self.multilabel:
            return records[[f"is_{name}" for name in self.classes]].to_numpy(dtype=np.int8)
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
        """Whether the patients are known; otherwise every image or volume stands for one."""
        return self.named

    def units(self) -> list[np.ndarray]:
        """By what images are known in another set: patients where they are named, and pixels.

        Names of files say nothing in another folder. Copies that were resized or saved anew pass.

        Returns:
            Arrays (n,) of text, one a kind.
        """
        found = []
        if self.names_patients():
            found.append(self.records()["patient"].to_numpy(dtype=object))
        if (file := self.folder / PRINTS).exists():
            with np.load(file, allow_pickle=False) as prints:
                found.append(np.array([f"pixels {each}" for each in prints["exact"]], dtype=object))
        return found

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
        """Unusable files and why they were left out."""
        file = self.folder / SET_ASIDE
        if not file.exists():
            return []
        rows = pd.read_csv(file, dtype=str)
        return list(zip(rows["file"], rows["reason"], strict=True))

    def copies(self) -> pd.DataFrame:
        """Images that are one picture: `picture` (a number), `file`, `part`, `copy` (exact, near).

        A picture with two values of `part` stands on both sides of a given split.
        """
        file = self.folder / COPIES
        columns = ["picture", "file", "part", "copy"]
        return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=columns)

    def split_counts(self) -> dict[str, dict[str, int]]:
        """Records and groups of each part."""
        by_part = self.records().groupby("part")["group"]
        return {
            part: {"records": int(by_part.size()[part]), "groups": int(by_part.nunique()[part])}
            for part in (*PARTS, EXCLUDED)
            if part in by_part.groups
        }
