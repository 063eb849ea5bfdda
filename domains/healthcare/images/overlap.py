"""What two sets of images have in common, and must not: pictures and patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.images.duplicates import Fingerprints, pairs
from domains.healthcare.images.set import PRINTS, RECORDS, ImageSet
from domains.healthcare.images.split import EXCLUDED, check_left


def without_target(source: ImageSet, target: ImageSet) -> ImageSet:
    """Take the target set's pictures and patients out of a source set, and note how many.

    A base that has seen the target's test patients would make the target task look easy. Whoever
    shares a picture with the target leaves with all their images; where both sets name patients,
    so does everyone whose name the target has too.

    Raises:
        InputError: Too few source images are left to train and to validate on.
    """
    records, note = _parted(source, target, "source", "target")
    if not note:
        return source
    check_left(records, source.classes, str(source.dataset.path))
    return _noted(source, records, note)


def external(test: ImageSet, target: ImageSet) -> ImageSet:
    """Make a second set of the same labels ready to test on, and on nothing else.

    Its classes get the target's numbers. Whoever shares a picture or a name with the target set
    leaves with all their images: the rest is new to every arm and base that the target trained.

    Raises:
        InputError: Other labels than the target's, or fewer than two classes, or of several labels
            none that some images have and some have not, are left.
    """
    where = str(test.dataset.path)
    test = _renumbered(test, target, where)
    records, note = _parted(test, target, "external", "target")
    left = records[records["part"] != EXCLUDED]
    if "label" in left and left["label"].nunique() < 2:
        raise InputError(
            f"{where}: {left['label'].nunique()} class(es) in {len(left)} external test images "
            "that the target does not hold, expected at least two; give other images under test"
        )
    labels = left.filter(regex="^is_")
    if len(labels.columns) and (labels.nunique() < 2).all():
        raise InputError(
            f"{where}: {len(left)} external test images that the target does not hold, and of each "
            "label all or none have it; expected one that some have; give other images under test"
        )
    return _noted(test, records, note) if note else test


def _renumbered(test: ImageSet, target: ImageSet, where: str) -> ImageSet:
    other = sorted(set(test.classes) - set(target.classes))
    lacking = sorted(set(target.classes) - set(test.classes)) if target.multilabel else []
    if other or lacking or test.multilabel != target.multilabel:
        names = ", ".join(target.classes)
        raise InputError(
            f"{where}: the external test images have the labels {', '.join(test.classes)}, "
            f"expected those of the target: {names}"
        )
    records = test.records()
    if "label" in records:
        numbers = np.array([target.classes.index(name) for name in test.classes])
        records["label"] = numbers[records["label"].to_numpy()]
        records.to_parquet(test.folder / RECORDS)
    return replace(test, classes=target.classes)


def _parted(given: ImageSet, other: ImageSet, one: str, another: str) -> tuple[pd.DataFrame, str]:
    """Records without what the other set holds too, and a note; empty where they share nothing."""
    records = given.records()
    copies = _copied(given, other)
    known = np.zeros(len(records), dtype=bool)
    named = given.names_patients() and other.names_patients()
    if named and _named_alike(given, other):
        known = records["patient"].isin(other.records()["patient"]).to_numpy()
    groups = records["group"]
    out = groups.isin(groups[copies | known]).to_numpy()
    records.loc[out, "part"] = EXCLUDED
    unlike = _UNLIKE.format(one, another) if named and not _named_alike(given, other) else ""
    if not out.any():
        return records, unlike
    return records, (
        f"{int(out.sum())} {one} images were left out: {int(copies.sum())} are copies of {another} "
        f"images, {int(known.sum())} show patients whom the {another} names too, the rest belong "
        f"with these.{' ' if unlike else ''}{unlike}"
    )


_UNLIKE = (
    "The {} and the {} images name patients in different ways (a column, DICOM files, or a secret "
    "of their own), which cannot be compared: a patient of both is found by copied pictures alone."
)


def _named_alike(given: ImageSet, other: ImageSet) -> bool:
    """Whether equal names mean equal patients: hashes do under one key, and never equal ids."""
    if given.hashed != other.hashed:
        return False
    return not given.hashed or given.dataset.public == other.dataset.public


def _noted(given: ImageSet, records: pd.DataFrame, note: str) -> ImageSet:
    records.to_parquet(given.folder / RECORDS)
    notes = (*given.dataset.notes, note)
    return replace(given, dataset=replace(given.dataset, notes=notes))


def _copied(source: ImageSet, target: ImageSet) -> np.ndarray:
    """Which source images the target holds too, (n,) bool."""
    found = np.zeros(len(source.records()), dtype=bool)
    files = [each.folder / PRINTS for each in (source, target)]
    if all(file.exists() for file in files):
        left, right = (_prints(file) for file in files)
        found[pairs(left, right)[0]] = True
    return found


def _prints(file: Path) -> Fingerprints:
    with np.load(file, allow_pickle=False) as arrays:
        return Fingerprints(arrays["exact"], arrays["perceptual"])
