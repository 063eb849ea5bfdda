"""Which columns training records mostly had: one that is empty in all of a file is worth a word."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domains.healthcare.outcomes.targets import coded
from domains.table_file import Records

_MOSTLY = 0.5


def mostly_filled(training: Records, public: bool) -> dict[str, float]:
    """Column → share of the training records that have a value, where it is at least half.

    Shares are rounded down: to whole percents, of private records to steps of five.

    Args:
        training: Features of the training records.
        public: Whether that many digits may be told.
    """
    steps = 100 if public else 20
    found = {
        str(name): _filled(training[name]) * steps // len(training) / steps
        for name in training.columns
    }
    return {name: share for name, share in found.items() if share >= _MOSTLY}


def _filled(column: pd.Series) -> int:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return int(column.notna().sum())
    codes, names = coded(column)
    return int(np.array([*(name is not None for name in names), False])[codes].sum())
