"""Results by site, sex, age or whatever else a manifest's columns say of a patient."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.image_set import ImageSet
from domains.healthcare.slicing import FEWEST_CASES, FEWEST_PATIENTS, group_names, in_order
from domains.metrics import ece
from pipelines.evidence import Cell, Table
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging.measuring import Sure, macro, ranking
from pipelines.steps.imaging.tested import Tested


def slice_columns(config: ImagingConfig, images: ImageSet) -> pd.DataFrame:
    """The columns to slice by, a row an image of the set, in its order; text, empty where unknown.

    Raises:
        InputError: The set does not have one of them.
    """
    records = images.records()
    for name in config.slices:
        if name not in records:
            raise InputError(
                f"{images.dataset.path}: no column {name!r} to slice by (slices); a manifest's "
                "columns are known under their own names"
            )
    return records[config.slices].astype("string").fillna("").reset_index(drop=True)


def by_group(columns: pd.DataFrame, images: ImageSet, tested: Tested, sure: Sure) -> list[Table]:
    """One table: a line a group of test images, and what is too small to be told said so."""
    rows: list[list[Cell]] = []
    train = images.rows("train")
    for name in columns:
        groups = group_names(columns[name], train)[tested.rows]
        for value in in_order(groups):
            rows.append(_row(f"{name}: {value}", groups == value, tested, sure))
    if not rows:
        return []
    caption = (
        f"Test images, 95 % intervals by patient. A group of fewer than {FEWEST_PATIENTS} "
        f"patients, or with fewer than {FEWEST_CASES} images of a class, is counted and not "
        "measured. Groups that differ may differ by chance, or in how hard their images are."
    )
    columns_of = ["group", "images", "patients", "AUROC", "low", "high", "ECE", "remark"]
    return [Table("By group", caption, columns_of, rows)]


def _row(name: str, which: np.ndarray, tested: Tested, sure: Sure) -> list[Cell]:
    y, p = tested.y[which], tested.answered.p[which]
    own = tested.groups[which]
    patients = len(np.unique(own))
    head: list[Cell] = [name, int(which.sum()), patients]
    if patients < FEWEST_PATIENTS:
        return [*head, None, None, None, None, f"fewer than {FEWEST_PATIENTS} patients"]
    if _rarest(y) < FEWEST_CASES:
        return [*head, None, None, None, None, f"a class with fewer than {FEWEST_CASES} images"]
    among = Sure(own, sure.repeats, sure.seed)
    area = among.of(ranking(y), y, p)
    error = macro(ece)(y, p) if y.ndim == 2 else ece(y, p)
    return [*head, area.value, area.low, area.high, error, ""]


def _rarest(y: np.ndarray) -> int:
    """Images of the rarest class, or of the rarer side of the least mixed label."""
    if y.ndim == 2:
        return int(min(y.sum(axis=0).min(), (1 - y).sum(axis=0).min()))
    counts = np.bincount(y, minlength=2)
    return int(counts[counts > 0].min()) if (counts > 0).sum() > 1 else 0
