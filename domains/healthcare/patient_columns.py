"""Columns that no model can learn from as they are, each refused in one line with the way out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domains.errors import InputError

_MANY = 40
_WORDS = 4
_MOSTLY = 0.9
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"


def check_features(frame: pd.DataFrame, where: str) -> None:
    """Raise InputError for a column that cannot be a feature; names it and the way out.

    Refused are columns that are empty, hold one value and no gaps, dates, times of the clock, free
    text, or some words among numbers.
    """
    for name in frame.columns:
        column = frame[name]
        place = f"{where}: column {name}"
        if column.isna().all():
            raise InputError(f"{place} is empty in all {len(frame)} rows; list it under exclude")
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            raise InputError(_dates(place, "dates"))
        if len(column) > 1 and column.notna().all() and column.nunique() == 1:
            raise InputError(
                f"{place} holds one value in all {len(frame)} rows, expected several; "
                "list it under exclude"
            )
        if not pd.api.types.is_numeric_dtype(column.dtype):
            _check_text(column, place)


def _check_text(column: pd.Series, place: str) -> None:
    cells = column.dropna().astype(str).str.strip()
    for pattern, what in ((_DATE, "dates"), (_CLOCK, "times of the clock")):
        if cells.str.fullmatch(pattern).mean() >= _MOSTLY and not _numeric(cells).all():
            raise InputError(_dates(place, what))
    _check_mixed(column, _numeric(cells), place)
    distinct = cells.nunique()
    if distinct <= _MANY or distinct <= len(cells) / 2 or _numeric(cells).all():
        return
    if cells.str.count(r"\s+").mean() + 1 >= _WORDS:
        raise InputError(
            f"{place} holds free text ({distinct} different ones in {len(cells)} cells), expected "
            "numbers or categories; list it under exclude"
        )


def _numeric(cells: pd.Series) -> np.ndarray:
    """Which texts are numbers, (n,) bool."""
    return pd.to_numeric(cells, errors="coerce").notna().to_numpy()


def _dates(place: str, what: str) -> str:
    return (
        f"{place} holds {what}, expected numbers or categories; "
        "turn it into a duration, or list it under exclude"
    )


def _check_mixed(column: pd.Series, numeric: np.ndarray, place: str) -> None:
    """A few words in a column of numbers are a mistake, not categories."""
    cells = column.dropna()
    if 0.5 < numeric.mean() < 1 and cells[numeric].nunique() > 20:
        row = int(np.flatnonzero(column.notna())[np.flatnonzero(~numeric)[0]]) + 1
        raise InputError(
            f"{place}: {int(numeric.sum())} cells hold numbers and {int((~numeric).sum())} text, "
            f"the first in row {row}; empty the cells that mean unknown, or list it under exclude"
        )
