"""Who trains, who is held out: by patient, with copies of one picture on one side."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.image_draft import Draft
from domains.healthcare.image_duplicates import clusters, join
from domains.splits import assign, check_disjoint

PARTS = ("train", "validation", "calibration", "test")
EXCLUDED = "excluded"
"""Part of images that a given split puts on two sides: they serve nothing."""

_SHARES = {"train": 0.55, "validation": 0.12, "calibration": 0.11, "test": 0.22}
_CUT_FROM_TRAINING = {"train": 0.77, "validation": 0.12, "calibration": 0.11}
_CUT_FROM_VALIDATION = {"validation": 0.5, "calibration": 0.5}


def split(draft: Draft, key: bytes) -> tuple[pd.DataFrame, list[str]]:
    """Give each record a `group` and a `part`.

    Without a given split, a patient and all copies of their images form one group, and groups fall
    on a part by the keyed hash of their name. Where no patients are named an image is known by
    its pixels, so that a file may be renamed, and a further copy moves nothing. A later file can
    still move a group: a near copy with a smaller hash, or a picture that two patients share,
    gives it another name. With a given split, it is kept: validation and calibration are cut out
    where they are missing, and copies across its parts leave all but the most held-out part.

    Returns:
        The records with columns `group` and `part`, and notes on the copies found.

    Raises:
        InputError: A patient stands on two sides of a given split, or it has no training or test.
    """
    records = draft.records.copy()
    cluster = np.arange(len(records)) if draft.prints is None else clusters(draft.prints)
    patients = records["patient"].to_numpy(dtype=object)
    alone = draft.prints is not None and (patients == records["id"].to_numpy(dtype=object)).all()
    records["group"] = join(draft.prints.exact if draft.prints and alone else patients, cluster)
    notes = _copies(draft, cluster)
    if "given" in records:
        check_disjoint(patients, records["given"].to_numpy(), "patient", str(draft.path))
        parts, more = _keep_given(records, cluster, key, str(draft.path))
        records["part"] = parts
        notes += more
    else:
        records["part"] = assign(records["group"], _SHARES, key)
    return records.drop(columns=["given"], errors="ignore"), notes


def _copies(draft: Draft, cluster: np.ndarray) -> list[str]:
    """A note on copies within the set, exact and near; none where there are none."""
    if draft.prints is None:
        return []
    exact = len(cluster) - len(set(draft.prints.exact.tolist()))
    extra = len(cluster) - len(np.unique(cluster))
    if not extra:
        return []
    note = (
        f"{extra} of {len(cluster)} images repeat another one: {exact} exactly, {extra - exact} "
        "nearly (other size or compression); all copies of a picture were kept on one side."
    )
    return [note, *_disagreeing(draft, cluster)]


def _disagreeing(draft: Draft, cluster: np.ndarray) -> list[str]:
    if not draft.classes:
        return []
    torn = int((draft.records["label"].groupby(cluster).nunique() > 1).sum())
    return [f"{torn} picture(s) appear under more than one class."] if torn else []


def _keep_given(
    records: pd.DataFrame, cluster: np.ndarray, key: bytes, where: str
) -> tuple[np.ndarray, list[str]]:
    parts = records["given"].to_numpy(dtype=object).copy()
    for needed in ("train", "test"):
        if needed not in parts:
            raise InputError(f"{where}: the given split has no {needed} part")
    parts, notes = _drop_across(parts, cluster)
    return _cut(parts, records["group"].to_numpy(), key), notes


def _drop_across(parts: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Exclude copies of a picture from all parts but its most held-out one."""
    rank = np.array([PARTS.index(part) for part in parts])
    highest = np.zeros(cluster.max() + 1, dtype=int)
    np.maximum.at(highest, cluster, rank)
    torn = rank < highest[cluster]
    if not torn.any():
        return parts, []
    counts = pd.Series(parts[torn]).value_counts()
    listed = ", ".join(f"{count} from {part}" for part, count in counts.items())
    note = f"{int(torn.sum())} images were left out, for a copy is held out further on: {listed}."
    return np.where(torn, EXCLUDED, parts).astype(object), [note]


def _cut(parts: np.ndarray, groups: np.ndarray, key: bytes) -> np.ndarray:
    """Cut calibration, and validation where missing, out of what the given split has."""
    if "calibration" in parts and "validation" in parts:
        return parts
    origin = "validation" if "validation" in parts else "train"
    shares = dict(_CUT_FROM_VALIDATION if origin == "validation" else _CUT_FROM_TRAINING)
    if "calibration" in parts:
        shares["train"] += shares.pop("calibration")
    inner = hashlib.blake2b(b"cut from a given part", key=key[:64]).digest()
    return np.where(parts == origin, assign(groups, shares, inner), parts).astype(object)


def check_left(records: pd.DataFrame, classes: tuple[str, ...], where: str) -> None:
    """Raise InputError unless a source set can still be trained and validated on."""
    validation = records["part"] == "validation"
    training = ~validation & (records["part"] != EXCLUDED)
    for rows, what in ((training, "training"), (validation, "validation")):
        left = records.loc[rows]
        kinds = left["label"].nunique() if classes else 2
        if len(left) < 2 or kinds < 2:
            raise InputError(
                f"{where}: without the target's patients and pictures {len(left)} source images "
                f"are left for {what}, expected at least two classes; give other source images"
            )


def check_classes(records: pd.DataFrame, classes: tuple[str, ...], where: str) -> None:
    """Raise InputError unless training, validation and test hold every class."""
    for number, name in enumerate(classes):
        of_class = records.loc[records["label"] == number, "part"]
        for part in ("train", "validation", "test"):
            if not (of_class == part).any():
                raise InputError(
                    f"{where}: class {name!r} has no image in the {part} part "
                    f"({len(of_class)} image(s) in all); give more images, or a split column"
                )
