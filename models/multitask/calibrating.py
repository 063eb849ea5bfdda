"""Calibration of every outcome that answers probabilities, on records that nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_targets import known
from models.calibration import fit_temperature

LEAST = 30
"""Labelled calibration records below which an outcome keeps its own probabilities."""


def fit_temperatures(
    codecs: Mapping[str, Codec],
    outputs: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """One temperature an outcome, binary and multiclass.

    Args:
        codecs: By outcome.
        outputs: Logits on the calibration records, (n, size).
        targets: Encoded targets of the same records, NaN where unknown.
    """
    temperatures = {}
    for name, codec in codecs.items():
        rows = known(targets[name])
        if codec.outcome.kind in ("binary", "multiclass") and rows.sum() >= LEAST:
            scores = outputs[name][rows]
            scores = scores[:, 0] if codec.outcome.kind == "binary" else scores
            temperatures[name] = fit_temperature(scores, targets[name][rows].astype(int))
    return temperatures
