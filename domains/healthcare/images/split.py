"""Who trains, who is held out: by patient, with copies of one picture on one side."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.images.draft import Draft, add_set_aside
from domains.healthcare.images.duplicates import clusters, join
from domains.splits import assign, held_sites

PARTS = ("train", "validation", "calibration", "test")
EXCLUDED = "excluded"
"""Part of images that a given split puts on two sides: they serve nothing."""

_TORN = "its patient is on a further held-out side of the given split"
_SHARES = {"train": 0.55, "validation": 0.12, "calibration": 0.11, "test": 0.22}
_CUT_FROM_TRAINING = {"train": 0.77, "validation": 0.12, "calibration": 0.11}
_CUT_FROM_VALIDATION = {"validation": 0.5, "calibration": 0.5}


@dataclass(frozen=True)
class Rule:
    """Who is held out for testing.

    Attributes:
        by: `patient`: a keyed hash of the patient. `site`: all images of some sites. `time`: all
            images from a day on. Whatever a given split says comes first.
        test_sites: The sites; empty for those that a keyed hash draws, at least one.
        test_from: The day, ISO; None for the day from which the last share of images begins.
        copies: What becomes of pictures that a given split puts on two sides: `remove` them from
            all but the most held-out side, `report` them and leave them, or `refuse` the set.
    """

    by: Literal["patient", "site", "time"] = "patient"
    test_sites: tuple[str, ...] = ()
    test_from: str | None = None
    copies: Literal["remove", "report", "refuse"] = "remove"


BY_PATIENT = Rule()
"""By a keyed hash of the patient."""


def split(
    draft: Draft,
    key: bytes,
    rule: Rule = BY_PATIENT,
    whole: bool = False,
    most_torn: float = 0.0,
) -> tuple[pd.DataFrame, list[str]]:
    """Give each record a `group`, a `cluster` of copies, and a `part`.

    Without a given split, a patient and all copies of their images form one group, and groups fall
    on a part by the keyed hash of their name. Where no patients are named an image is known by
    its pixels, so that a file may be renamed, and a further copy moves nothing. A later file can
    still move a group: a near copy with a smaller hash, or a picture that two patients share,
    gives it another name. By site or by time, the rest of a group that is held out in part leaves.
    With a given split, it is kept: validation and calibration are cut out where they are missing,
    and copies across its parts leave all but the most held-out part, unless the rule says else. A
    patient on two sides of it leaves all but the most held-out one, and these images are listed
    with the unusable ones, while they are few.

    Args:
        draft: The images.
        key: From `domains.splits.split_key`.
        rule: Who is held out.
        whole: Everybody is held out: all images are for testing.
        most_torn: Largest share of images to leave out for their patient is on a side of a given
            split that is further held out.

    Returns:
        The records with columns `group`, `cluster` and `part`, and notes on the copies found.

    Raises:
        InputError: Too many images of patients on two sides of a given split, or it has no training
            or test, or copies that the rule refuses.
    """
    records = draft.records.copy()
    cluster = np.arange(len(records)) if draft.prints is None else clusters(draft.prints)
    patients = records["patient"].to_numpy(dtype=object)
    alone = draft.prints is not None and (patients == records["id"].to_numpy(dtype=object)).all()
    records["group"] = join(draft.prints.exact if draft.prints and alone else patients, cluster)
    records["cluster"] = cluster
    notes = _copies(draft, cluster)
    more: list[str] = []
    if whole:
        parts = np.full(len(records), "test", dtype=object)
    elif "given" in records:
        torn = _torn(records, most_torn, str(draft.path))
        parts, more = _keep_given(records, cluster, torn, key, str(draft.path), rule)
        more += add_set_aside(draft.folder, [(name, _TORN) for name in records["id"][torn]])
    elif rule.by == "patient":
        parts = assign(records["group"], _SHARES, key)
    else:
        where = str(draft.path)
        parts, more = _hold_out(records, _held(records, rule, key, where), key, where)
    records["part"] = parts
    return records.drop(columns=["given"], errors="ignore"), [*notes, *more]


def _held(records: pd.DataFrame, rule: Rule, key: bytes, where: str) -> np.ndarray:
    """Which records are for testing, (n,) bool."""
    if rule.by == "site":
        return held_sites(records["site"], rule.test_sites, _SHARES["test"], key, where, "image")
    times = pd.to_datetime(records["time"], utc=True)
    if rule.test_from is not None:
        first = pd.Timestamp(rule.test_from)
        first = first.tz_localize("UTC") if first.tz is None else first
    else:
        first = times.sort_values().iloc[int(len(times) * (1 - _SHARES["test"]))].floor("D")
    return (times >= first).to_numpy()


def _hold_out(
    records: pd.DataFrame, held: np.ndarray, key: bytes, where: str
) -> tuple[np.ndarray, list[str]]:
    """Test what is held; the other images of its groups leave; the rest falls by hash."""
    if held.all() or not held.any():
        raise InputError(
            f"{where}: {'all' if held.all() else 'none'} of {len(held)} images would be held out "
            "for testing; set data.test_from or data.test_sites so that some are, or let "
            "data.split_by be patient"
        )
    torn = records["group"].isin(records["group"][held]).to_numpy() & ~held
    inner = hashlib.blake2b(b"cut from what is not held out", key=key[:64]).digest()
    parts = assign(records["group"], _CUT_FROM_TRAINING, inner)
    parts[held], parts[torn] = "test", EXCLUDED
    if not torn.any():
        return parts, []
    return parts, [
        f"{int(torn.sum())} images were left out, for their patient or a copy of them is among the "
        "images held out for testing."
    ]


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
        "nearly (other size or compression)"
    )
    kept = "" if "given" in draft.records else "; all copies of a picture were kept on one side"
    return [f"{note}{kept}.", *_disagreeing(draft, cluster)]


def _disagreeing(draft: Draft, cluster: np.ndarray) -> list[str]:
    if "label" not in draft.records:
        return []
    torn = int((draft.records["label"].groupby(cluster).nunique() > 1).sum())
    return [f"{torn} picture(s) appear under more than one class."] if torn else []


def _torn(records: pd.DataFrame, most: float, where: str) -> np.ndarray:
    """Images whose patient stands on a further held-out side of the given split, (n,) bool."""
    rank = records["given"].map(PARTS.index)
    torn = (rank < rank.groupby(records["patient"]).transform("max")).to_numpy()
    if torn.mean() > most:
        first = records["patient"] == records["patient"][torn].iloc[0]
        sides = " and ".join(sorted(set(records["given"][first])))
        raise InputError(
            f"{where}: {records['patient'][torn].nunique()} patient(s) stand on more than one side "
            f"of the given split, and {int(torn.sum())} of {len(torn)} images ({torn.mean():.1%}) "
            f"would have to be left out, more than max_unreadable ({most:.1%}); the first is "
            f"{records['id'][torn].iloc[0]} (its patient is in {sides}); put every image of one "
            "patient in one part"
        )
    return torn


def _keep_given(
    records: pd.DataFrame,
    cluster: np.ndarray,
    torn: np.ndarray,
    key: bytes,
    where: str,
    rule: Rule,
) -> tuple[np.ndarray, list[str]]:
    parts = records["given"].to_numpy(dtype=object).copy()
    parts, notes = _drop_across(parts, cluster, where, rule)
    parts[torn] = EXCLUDED
    for needed in ("train", "test"):
        if needed not in parts:
            raise InputError(f"{where}: the given split has no {needed} part with a usable image")
    return _cut(parts, records["group"].to_numpy(), key), notes


def _drop_across(
    parts: np.ndarray, cluster: np.ndarray, where: str, rule: Rule
) -> tuple[np.ndarray, list[str]]:
    """Exclude copies of a picture from all parts but its most held-out one, if the rule says so."""
    rank = np.array([PARTS.index(part) for part in parts])
    highest = np.zeros(cluster.max() + 1, dtype=int)
    np.maximum.at(highest, cluster, rank)
    torn = rank < highest[cluster]
    if not torn.any():
        return parts, []
    counts = pd.Series(parts[torn]).value_counts()
    listed = ", ".join(f"{count} from {part}" for part, count in counts.items())
    if rule.copies == "refuse":
        raise InputError(
            f"{where}: {int(torn.sum())} images have a copy further held out ({listed}); remove "
            "them, or let data.duplicates be remove"
        )
    if rule.copies == "report":
        note = f"{int(torn.sum())} images have a copy further held out, and were left: {listed}."
        return parts, [f"{note} What is measured on them flatters."]
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
        kinds = left["label"].nunique() if classes and "label" in left else 2
        if len(left) < 2 or kinds < 2:
            raise InputError(
                f"{where}: without the target's patients and pictures {len(left)} source images "
                f"are left for {what}, expected at least two classes; give other source images"
            )


def check_classes(records: pd.DataFrame, classes: tuple[str, ...], where: str) -> None:
    """Raise InputError unless training, validation and test hold every class, and, of several
    labels an image, images with and without each.
    """
    for number, name in enumerate(classes):
        if f"is_{name}" in records:
            _check_met(records, records[f"is_{name}"] == 0, f"without label {name!r}", where)
            _check_met(records, records[f"is_{name}"] == 1, f"with label {name!r}", where)
        else:
            _check_met(records, records["label"] == number, f"of class {name!r}", where)


def _check_met(records: pd.DataFrame, which: pd.Series, what: str, where: str) -> None:
    found = records.loc[which]
    groups = found["group"].nunique()
    for part in ("train", "validation", "test"):
        if not (found["part"] == part).any():
            left = int((found["part"] == EXCLUDED).sum())
            without = f", {left} of them left out for a patient or copy held out" if left else ""
            raise InputError(
                f"{where}: no image {what} is in the {part} part ({len(found)} image(s) of "
                f"{groups} patient(s) or groups in all{without}); give more, or a split column, or "
                "leave it out"
            )
