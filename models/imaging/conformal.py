"""Prediction sets that hold the true class as often as was promised.

Split conformal prediction: calibration records, which nothing else has touched, say how badly the
net may misjudge a true class; a set then holds every class that is not judged worse than that.
The images of one patient are alike, so that it is patients who are exchangeable, not images: each
calibration patient weighs the same, however many images it has, and the promise is for an image
drawn at random from a new patient (Lee, Barber and Willett, 2023, arXiv:2306.06342).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from models.conformal import CLOSE, patient_quantile

Method = Literal["lac", "aps"]
BETWEEN = "|"
"""Between the classes of a set where one is written down; no class may have it in its name."""


@dataclass(frozen=True)
class Sets:
    """A rule from probabilities to sets of classes.

    Attributes:
        coverage: Share of sets that hold the true class, as promised.
        method: `lac`, the smallest sets on average (Sadinle, Lei and Wasserman, 2019,
            arXiv:1609.00451), or `aps`, which spreads the misses more evenly over easy and hard
            images (Romano, Sesia and Candès, 2020, arXiv:2006.02544; without randomisation, and
            so with coverage above what is promised).
        threshold: Largest score of a class in a set; infinite where too few patients could
            calibrate, and then every set holds all classes.
        patients: How many calibrated it.
    """

    coverage: float
    method: Method
    threshold: float
    patients: int

    def members(self, p: np.ndarray) -> np.ndarray:
        """Which classes each set holds, bool (n, k); the most probable one always.

        Args:
            p: Probabilities (n, k) as `fit_sets` had them.
        """
        inside = np.asarray(_SCORES[self.method](p) <= self.threshold + CLOSE)
        inside[np.arange(len(p)), p.argmax(axis=1)] = True
        return inside


def fit_sets(
    p: np.ndarray, y: np.ndarray, patients: np.ndarray, coverage: float, method: Method = "lac"
) -> Sets:
    """The rule that calibration records ask for.

    Args:
        p: Probabilities (n, k). Take them before any temperature: one that was fitted on the same
            records would make them look a little more certain than new ones.
        y: Class numbers (n,).
        patients: Patient of each record, (n,).
        coverage: Share of sets that are to hold the true class, between 0 and 1.
        method: See `Sets`.

    >>> p = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    >>> fit_sets(p, np.array([0, 0, 1, 1]), np.arange(4), coverage=0.75).threshold
    0.4
    """
    scores = _SCORES[method](p)[np.arange(len(y)), y]
    count = len(np.unique(patients))
    return Sets(coverage, method, patient_quantile(scores, patients, coverage), count)


def _lac(p: np.ndarray) -> np.ndarray:
    """How improbable a class is held to be."""
    return 1.0 - np.asarray(p, dtype=float)


def _aps(p: np.ndarray) -> np.ndarray:
    """Probability of a class and of all those held to be more probable."""
    order = np.argsort(-p, axis=1, kind="stable")
    total = np.cumsum(np.take_along_axis(np.asarray(p, dtype=float), order, axis=1), axis=1)
    scores = np.empty_like(total)
    np.put_along_axis(scores, order, total, axis=1)
    return scores


_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lac": _lac, "aps": _aps}
