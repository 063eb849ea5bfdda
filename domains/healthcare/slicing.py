"""Groups of records by the values of a column: sites, sexes, bands of age."""

from __future__ import annotations

import numpy as np
import pandas as pd

FEWEST_PATIENTS = 20
"""Patients below whom a group is counted and not measured."""
FEWEST_CASES = 5
"""Records of a class below which a group is counted and not measured."""
UNKNOWN = "not stated"
_MOST_VALUES = 8


def group_names(values: pd.Series, train: np.ndarray, codes: bool = False) -> np.ndarray:
    """Names of groups, (n,): the values themselves, or thirds of numbers of many values.

    Args:
        values: Text, empty where unknown, (n,).
        train: Which records train, (n,) bool: the thirds are of them.
        codes: Whether numbers are names too.
    """
    numbers = pd.to_numeric(values, errors="coerce")
    whole = (numbers.notna() | (values == "")).all()
    if whole and not codes and numbers.nunique() > _MOST_VALUES:
        low, high = np.nanquantile(numbers.to_numpy()[train], [1 / 3, 2 / 3])
        cells = np.searchsorted([low, high], numbers.to_numpy(), side="left")
        low, high = f"{low:.4g}", f"{high:.4g}"
        names = np.array([f"up to {low}", f"above {low} to {high}", f"above {high}"])
        return np.where(numbers.isna(), UNKNOWN, names[np.minimum(cells, 2)])
    return values.where(values != "", UNKNOWN).to_numpy(dtype=str)


def merged(names: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Groups of few patients under one name, (n,): who is in them is nobody's business.

    Args:
        names: Group of each record, (n,).
        patients: Whose it is, (n,).
    """
    counts = pd.Series(patients).groupby(names).nunique()
    small = counts.index[counts < FEWEST_PATIENTS]
    together = "a smaller group" if len(small) == 1 else f"{len(small)} smaller groups"
    return np.where(np.isin(names, small), together, names)


def in_order(names: np.ndarray) -> list[str]:
    """Names of groups once each, sorted, bands as they rise; the unknown and the small last."""
    return sorted({str(name) for name in names}, key=lambda name: (_place(name), name))


def _place(name: str) -> int:
    if name == UNKNOWN or name.endswith((" smaller group", " smaller groups")):
        return 3 + (name != UNKNOWN)
    return 2 if name.startswith("above ") and " to " not in name else name.startswith("above ")
