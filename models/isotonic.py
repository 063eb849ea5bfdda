"""Log-odds straightened by what happened: a rising curve that keeps every order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logit, logsumexp
from sklearn.isotonic import isotonic_regression

LEAST_A_BIN = 25
_MOST_BINS = 20


@dataclass(frozen=True)
class Curve:
    """A piecewise linear map of log-odds, rising everywhere; beyond its ends its slope is 1.

    Isotonic regression (Zadrozny and Elkan, 2002, doi:10.1145/775047.775151) gives steps, on which
    records tie. Joining the middles of the steps (centred isotonic regression, Oron and Flournoy,
    2017, doi:10.1080/19466315.2017.1286256) keeps the order of any two records.

    Attributes:
        at: Log-odds of the model, ascending.
        to: Calibrated log-odds there, ascending.
    """

    at: tuple[float, ...]
    to: tuple[float, ...]

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Calibrated log-odds, (n,)."""
        inside = np.interp(z, self.at, self.to)
        beyond = np.minimum(z - self.at[0], 0.0) + np.maximum(z - self.at[-1], 0.0)
        return np.asarray(inside + beyond)

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        return {"at": list(self.at), "to": list(self.to)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Curve:
        """Inverse of `to_json`."""
        return cls(tuple(values["at"]), tuple(values["to"]))


def fit_curve(z: np.ndarray, y: np.ndarray) -> Curve:
    """The curve that records ask for, in bins of equal count.

    A bin holds at least `LEAST_A_BIN` records, and so no point of the curve is one record's. Its
    rate is (yes + ½) / (records + 1), which is never 0 or 1.

    Args:
        z: Log-odds, (n,).
        y: 0 or 1, (n,).
    """
    order = np.argsort(z, kind="stable")
    bins = np.array_split(order, max(min(_MOST_BINS, len(z) // LEAST_A_BIN), 1))
    sizes = np.array([len(rows) for rows in bins], dtype=float)
    middle = np.array([z[rows].mean() for rows in bins])
    rate = np.array([(y[rows].sum() + 0.5) / (len(rows) + 1) for rows in bins])
    level = isotonic_regression(rate, sample_weight=sizes)
    step = np.unique(level, return_inverse=True)[1]
    at = np.bincount(step, middle * sizes) / np.bincount(step, sizes)
    to = logit(np.bincount(step, level * sizes) / np.bincount(step, sizes))
    apart = np.r_[True, np.diff(at) > 0]  # bins of equal log-odds say one thing only
    return Curve(tuple(at[apart].tolist()), tuple(to[apart].tolist()))


def against_rest(logits: np.ndarray) -> np.ndarray:
    """Log-odds of each class against all others, (n, k), from logits (n, k)."""
    logits = np.asarray(logits, dtype=float)
    others = [logsumexp(np.delete(logits, k, axis=1), axis=1) for k in range(logits.shape[1])]
    return logits - np.column_stack(others)
