"""Bounds that new patients keep as often as was promised, from records that nothing else touched.

Split conformal prediction (Vovk, Gammerman and Shafer, 2005; Lei et al., 2018,
doi:10.1080/01621459.2017.1307116). The records of one patient are alike, so that it is patients who
are exchangeable, not records: each calibration patient weighs the same, however many records it
has, and the promise is for a record drawn at random from a new patient (Lee, Barber and Willett,
2023, arXiv:2306.06342).
"""

from __future__ import annotations

import numpy as np

CLOSE = 1e-12


def patient_quantile(values: np.ndarray, patients: np.ndarray, level: float) -> float:
    """A bound that the value of a new patient's record keeps with probability `level` or more.

    Each of K patients has 1 / (K + 1) of the weight, spread evenly over its records, and the new
    patient has the rest, at infinity. With one record a patient this is the ⌈level · (K + 1)⌉-th
    smallest value.

    Args:
        values: (n,).
        patients: Patient of each value, (n,).
        level: Between 0 and 1.

    Returns:
        One of the values, or infinity where K is too small for the level.
    """
    _, codes, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    weight = 1.0 / ((len(sizes) + 1) * sizes[codes]) if len(sizes) else np.empty(0)
    order = np.argsort(values, kind="stable")
    enough = np.flatnonzero(np.cumsum(weight[order]) >= level - CLOSE)
    return float(values[order[enough[0]]]) if len(enough) else float("inf")


def fewest_patients(level: float) -> int:
    """How many patients it takes before a bound at this level is finite.

    >>> fewest_patients(0.9)
    9
    """
    return int(np.ceil(level / (1.0 - level) - CLOSE))
