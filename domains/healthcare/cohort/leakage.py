"""Features that alone predict an outcome too well to be true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from domains.healthcare.cohort.features import Category, Encoder
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import Targets, known
from domains.metrics import auroc
from domains.ranked import Area
from domains.table_file import Records

SUSPICIOUS = 0.97


@dataclass(frozen=True)
class Suspect:
    """A feature and the outcome it gives away, with its AUROC alone on training records."""

    feature: str
    outcome: str
    auroc: float

    def said(self, public: bool) -> str:
        """A warning; of private records without the number."""
        what = f"reaches AUROC {self.auroc:.3f} for" if public else "all but gives away"
        return (
            f"Column {self.feature} alone {what} {self.outcome} in training: check that it is "
            "known when predictions are made, or exclude it."
        )


def suspects(
    encoder: Encoder, training: Records, targets: Targets, codecs: dict[str, Codec]
) -> list[Suspect]:
    """Single features that reach `SUSPICIOUS` for an outcome on the training records.

    Args:
        encoder: Fitted on the same records.
        training: Features of the training records.
        targets: Of the training records.
        codecs: By outcome.
    """
    asked = [
        (outcome.name, label, known(targets.values[outcome.name]))
        for outcome in targets.outcomes
        for label in _labels(codecs[outcome.name], targets.values[outcome.name])
    ]
    found = []
    for feature in encoder.features:
        column = feature.ordinal(training[feature.name], "training")
        area_of = _by_level if isinstance(feature, Category) else _by_size
        for (name, _, _), area in zip(asked, area_of(column, asked), strict=True):
            if area > SUSPICIOUS:
                found.append(Suspect(feature.name, name, area))
    best = {(s.feature, s.outcome): s for s in sorted(found, key=lambda s: s.auroc)}
    return list(best.values())


def _labels(codec: Codec, values: np.ndarray) -> list[np.ndarray]:
    """Yes-or-no questions that stand for an outcome, each (n,)."""
    if codec.outcome.kind == "multiclass":
        return [values == label for label in codec.classes]
    if codec.outcome.kind == "ordinal":
        places = codec.places(values)
        return [places > level for level in range(codec.size)]
    if codec.outcome.kind == "survival":
        return [values[:, 1] == 1]
    if codec.outcome.kind in ("count", "regression"):
        return [values > np.nanmedian(values.astype(float))]
    return [values == 1]


_Asked = Sequence[tuple[str, np.ndarray, np.ndarray]]
"""Outcome, yes or no (n,), and which records have a label (n,)."""


def _by_size(column: np.ndarray, asked: _Asked) -> Iterator[float]:
    """AUROC of one column, whichever way it points, for each question; sorted once for all."""
    area = Area(np.nan_to_num(column, nan=-1e300))
    for _, label, rows in asked:
        yield _either_way(area(label, rows.astype(float)))


def _by_level(column: np.ndarray, asked: _Asked) -> Iterator[float]:
    """The same of a category, for which its share of yes stands."""
    levels = np.unique(np.where(np.isnan(column), np.inf, column), return_inverse=True)[1]
    for _, label, rows in asked:
        counts = np.bincount(levels, weights=rows)
        share = np.bincount(levels, weights=label & rows) / np.maximum(counts, 1)
        yield _either_way(auroc(label[rows].astype(int), share[levels[rows]]))


def _either_way(area: float) -> float:
    return max(area, 1 - area) if np.isfinite(area) else 0.0
