"""How well the model's probabilities meant what they said, before calibration and after."""

from __future__ import annotations

from collections.abc import Mapping

from domains.healthcare.outcome_scores import judged
from domains.healthcare.outcome_targets import known
from domains.metrics import ece
from pipelines.steps.patients.tested import UNCALIBRATED, Tested


def told(tested: Tested, fitted: Mapping[str, float]) -> dict[str, dict[str, float | str]]:
    """Per outcome: method, temperature, and the expected calibration error before and after."""
    found: dict[str, dict[str, float | str]] = {}
    for name, codec in tested.codecs.items():
        if codec.outcome.metric != "auroc":
            continue
        errors = []
        for frame in (tested.frames[UNCALIBRATED], tested.frames[tested.model]):
            y, p = judged(codec, tested.cohort.targets.values[name], frame)
            errors.append(ece(y[known(y)], p[known(y)]) if known(y).any() else float("nan"))
        found[name] = {
            "method": "temperature" if name in fitted else "none: too few labels",
            "temperature": fitted.get(name, 1.0),
            "ece_before": errors[0],
            "ece_after": errors[1],
        }
    return found
