"""Results by site, sex, age or whatever else a manifest's columns say of a patient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains import metrics
from domains.errors import InputError
from domains.flawless import of_area
from domains.healthcare.few import counted
from domains.healthcare.images.set import ImageSet
from domains.healthcare.slicing import (
    FEWEST_CASES,
    FEWEST_PATIENTS,
    group_names,
    in_order,
    merged,
)
from domains.metrics import Interval, ece, resamples
from pipelines.evidence import Cell, Figure, Metrics, Table
from pipelines.reporting import figures
from pipelines.reporting.drawing import Row
from pipelines.reporting.wording import measured
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging.measuring import Sure, macro, ranking
from pipelines.steps.imaging.tested import Tested

_DRAWN = 24
_FEW, _RARE = f"fewer than {FEWEST_PATIENTS} patients", f"a class of under {FEWEST_CASES} images"


@dataclass(frozen=True)
class Slice:
    """Test images that have a value of a column in common.

    Attributes:
        column: Its name.
        value: Or band of values.
        images: How many.
        patients: Whose they are.
        auroc: None where they are too few to be measured.
        gap: AUROC less that of all other test images; None where either is too few.
        error: Expected calibration error.
        why: Why nothing was measured; empty where it was.
    """

    column: str
    value: str
    images: int
    patients: int
    auroc: Interval | None = None
    gap: Interval | None = None
    error: float | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """Column and value, in words."""
        return f"{self.column}: {self.value}"


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


def by_group(columns: pd.DataFrame, images: ImageSet, tested: Tested, sure: Sure) -> list[Slice]:
    """Every group of test images; those of few patients of a column are counted together."""
    found = []
    train = images.rows("train")
    for name in columns:
        groups = merged(group_names(columns[name], train)[tested.rows], tested.groups)
        found += [
            _slice(str(name), value, groups == value, tested, sure) for value in in_order(groups)
        ]
    return found


def _slice(column: str, value: str, which: np.ndarray, tested: Tested, sure: Sure) -> Slice:
    y, p = tested.y[which], tested.answered.p[which]
    counted = column, value, int(which.sum()), len(np.unique(tested.groups[which]))
    if why := _too_small(which, tested):
        return Slice(*counted, why=why)
    error = macro(ece)(y, p) if y.ndim == 2 else ece(y, p)
    area = Sure(tested.groups[which], sure.repeats, sure.seed).area(y, p)
    gap = None if _too_small(~which, tested) else _gap(which, tested, sure)
    return Slice(*counted, area, gap, error)


def _too_small(which: np.ndarray, tested: Tested) -> str:
    """Why some test images cannot be measured; empty where they can."""
    if len(np.unique(tested.groups[which])) < FEWEST_PATIENTS:
        return _FEW
    return _RARE if _rarest(tested.y[which], np.unique(tested.y)) < FEWEST_CASES else ""


def _gap(which: np.ndarray, tested: Tested, sure: Sure) -> Interval:
    """AUROC of some images less that of the others, resampling all test patients."""

    def gap(weight: np.ndarray) -> float:
        inside, outside = (
            ranking(tested.y)(tested.y[rows], tested.answered.p[rows], weight[rows])
            for rows in (which, ~which)
        )
        return inside - outside

    drawn = resamples(len(which), sure.groups, sure.repeats, sure.seed)
    y, p, of = tested.y, tested.answered.p, sure.groups
    slack = max(of_area(y[rows], p[rows], of[rows]) for rows in (which, ~which))
    return metrics.gap(gap(np.ones(len(which))), [gap(weight) for weight in drawn], slack)


def _rarest(y: np.ndarray, classes: np.ndarray) -> int:
    """Images of the rarest of some classes, or of the rarer side of the least mixed label."""
    if y.ndim == 2:
        return int(min(y.sum(axis=0).min(), (1 - y).sum(axis=0).min()))
    return min(int((y == k).sum()) for k in classes) if len(classes) > 1 else 0


def finding(found: Sequence[Slice]) -> Iterator[str]:
    """The group that is most surely behind all others, and how many groups were looked at."""
    told = sorted(((s.gap.high, s) for s in found if s.gap), key=lambda pair: pair[0])
    if not told:
        if found:
            yield "By group: no group of test images is large enough to be set against the others."
        return
    high, worst = told[0]
    assert worst.gap is not None  # noqa: S101 - only such are told
    beyond = "beyond its interval" if high < 0 else "not beyond its interval"
    yield (
        f"By group: {worst.name} is the one most surely behind, AUROC {worst.gap.value:+.3f} "
        f"({worst.gap.low:+.3f} to {worst.gap.high:+.3f}) against all other test images, {beyond}; "
        f"{len(told)} of {len(found)} groups were large enough to be compared."
    )


def tables(found: Sequence[Slice], public: bool = True) -> list[Table]:
    """One table: a line a group, and what is too small to be measured said so.

    Of private images the counts are rounded, see `domains.healthcare.few`.
    """
    if not found:
        return []
    rows: list[list[Cell]] = [
        [
            s.name,
            counted(s.images, s.patients, public),
            counted(s.patients, s.patients, public),
            measured(s.auroc) if s.auroc else None,
            measured(s.gap) if s.gap else None,
            s.error,
            s.why,
        ]
        for s in found
    ]
    caption = (
        "Test images, 95 % intervals by patient, and the difference from all other test images. "
        f"Groups of fewer than {FEWEST_PATIENTS} patients are counted together; they, and a group "
        f"with fewer than {FEWEST_CASES} images of a class, are not measured. Numbers are cut into "
        "thirds of the training images. Groups that differ may differ by chance, or in how hard "
        "their images are."
    )
    heads = ["group", "images", "patients", "AUROC", "less all others", "ECE", "remark"]
    return [Table("By group", caption, heads, rows)]


def draw(folder: Path, found: Sequence[Slice], whole: Metrics) -> list[Figure]:
    """AUROC of every group beside that of all test images; none where no group was measured.

    Args:
        folder: Where the figure goes.
        found: The groups.
        whole: Metrics of all test images.
    """
    if not any(s.auroc for s in found):
        return []
    most = sorted(found, key=lambda s: s.patients, reverse=True)[:_DRAWN]
    rows: list[Row] = [
        ("all test images", whole["auroc"], whole.get("auroc_low"), whole.get("auroc_high"), "all")
    ]
    for s in (s for s in found if s in most):
        ends = (s.auroc.value, s.auroc.low, s.auroc.high) if s.auroc else (None, None, None)
        rows.append((s.name if s.auroc else f"too small: {s.name}", *ends, s.column))
    path = figures.bars(
        folder / "slices.png", rows, "AUROC", whole["auroc"], "all test images together"
    )
    caption = (
        "AUROC of the registered model in each group of test images, with 95 % intervals by "
        f"patient; a dash: {_FEW}, or {_RARE}."
    )
    if len(found) > len(most):
        caption += f" The {len(most)} groups with the most patients, of {len(found)}."
    return [Figure("slices", "Does it answer as well in every group?", caption, path)]
