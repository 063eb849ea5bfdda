"""Features that alone predict an outcome too well to be true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_targets import Targets, known
from domains.healthcare.patient_features import Category, Encoder
from domains.metrics import auroc

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
    encoder: Encoder, raw: np.ndarray, targets: Targets, codecs: dict[str, Codec]
) -> list[Suspect]:
    """Single features that reach `SUSPICIOUS` for an outcome on the training records.

    Args:
        encoder: Fitted on the same records.
        raw: `encoder.ordinal` of the training records, (n, features).
        targets: Of the training records.
        codecs: By outcome.
    """
    found = []
    for outcome in targets.outcomes:
        values = targets.values[outcome.name]
        for label in _labels(codecs[outcome.name], values):
            rows = known(values)
            for feature, column in zip(encoder.features, raw.T, strict=True):
                area = _area(label[rows], column[rows], isinstance(feature, Category))
                if area > SUSPICIOUS:
                    found.append(Suspect(feature.name, outcome.name, area))
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


def _area(label: np.ndarray, column: np.ndarray, category: bool) -> float:
    """AUROC of one column, whichever way it points; the share of yes stands for a category."""
    column = np.where(np.isnan(column), np.inf if category else -np.inf, column)
    if category:
        codes = np.unique(column, return_inverse=True)[1]
        column = (np.bincount(codes, weights=label) / np.bincount(codes))[codes]
    area = auroc(label.astype(int), np.nan_to_num(column, posinf=1e300, neginf=-1e300))
    return max(area, 1 - area) if np.isfinite(area) else 0.0
