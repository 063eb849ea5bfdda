"""Ids of records: from their content, for files that bring none, and of one form where they do."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from domains.table_file import Records

_KEY_LENGTH = 16  # of the hash
_DEFAULT_KEY = "0123456789123456"
_WHOLE = re.compile(r"0*(\d+)(\.0*)?")


def plain_id(value: object) -> str:
    """An id as text without the blanks around it, a whole number by its value.

    A table may read as a number what another one, or a person, spells with its zeros.

    >>> [plain_id(value) for value in (7, 7.0, " 007", "7a")]
    ['7', '7', '7', '7a']
    """
    text = str(value).strip()
    whole = _WHOLE.fullmatch(text)
    return whole.group(1) if whole else text


def row_ids(frame: Records, key: bytes | None = None) -> np.ndarray:
    """An id of each record from its content, (n,) str; equal for equal records only.

    The order of the columns does not matter. Numbers hash by value, so that a column stored as
    integers here and as floats there agrees; so do true and false beside an empty field.

    Args:
        frame: Raw records.
        key: Of the hash, where nobody may test whether a record is among them.
    """
    hash_key = key.hex()[:_KEY_LENGTH] if key else _DEFAULT_KEY
    names = sorted(frame.columns, key=str)
    columns = (_comparable(frame[name]) for name in names)
    hashes = (
        pd.util.hash_pandas_object(column, index=False, hash_key=hash_key).to_numpy()
        for column in columns
    )
    return np.array([f"{value:016x}" for value in _combined(hashes, len(names))], dtype=object)


def _combined(hashes: Iterable[np.ndarray], count: int) -> np.ndarray:
    """One hash a record of its columns' hashes (n,), as Python's tuples and pandas's frames have
    it, holding one column at a time."""
    found, factor = np.array([0x345678], dtype=np.uint64), np.uint64(1000003)
    for place, column in enumerate(hashes):
        found = (found ^ column) * factor
        factor += np.uint64(82520 + 2 * (count - place))
    return found + np.uint64(97531)


def _comparable(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float)
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("")
    values = column.astype(object)
    filled = values[values.notna()].tolist()
    if filled and all(isinstance(value, bool) for value in filled):
        return values.where(values.notna(), np.nan).astype(float)
    return values.where(values.notna(), "").map(str)
