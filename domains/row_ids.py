"""Ids of records from their content, for files that bring none."""

from __future__ import annotations

import numpy as np
import pandas as pd

_KEY_LENGTH = 16  # of the hash
_DEFAULT_KEY = "0123456789123456"


def row_ids(frame: pd.DataFrame, key: bytes | None = None) -> np.ndarray:
    """An id of each record from its content, (n,) str; equal for equal records only.

    The order of the columns does not matter. Numbers hash by value, so that a column stored as
    integers here and as floats there agrees; so do true and false beside an empty field.

    Args:
        frame: Raw records.
        key: Of the hash, where nobody may test whether a record is among them.
    """
    plain = pd.DataFrame(
        {str(name): _comparable(frame[name]) for name in sorted(frame.columns, key=str)}
    )
    hash_key = key.hex()[:_KEY_LENGTH] if key else _DEFAULT_KEY
    hashes = pd.util.hash_pandas_object(plain, index=False, hash_key=hash_key).to_numpy()
    return np.array([f"{value:016x}" for value in hashes], dtype=object)


def _comparable(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float)
    values = column.astype(object)
    filled = values[values.notna()].tolist()
    if filled and all(isinstance(value, bool) for value in filled):
        return values.where(values.notna(), np.nan).astype(float)
    return values.where(values.notna(), "").map(str)
