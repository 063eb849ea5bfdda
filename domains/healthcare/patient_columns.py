"""Columns that no model can learn from as they are, each refused in one line with the way out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.table_file import Records

_MANY = 40
_WORDS = 4
_MOSTLY = 0.9
_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"


def check_features(frame: Records, where: str) -> None:
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
    seen = column.value_counts()  # each distinct cell is looked at once
    seen = seen[seen > 0]
    cells, counts = pd.Series(seen.index.astype(str)).str.strip(), seen.to_numpy()
    numeric = pd.to_numeric(cells, errors="coerce").notna().to_numpy()
    for pattern, what in ((_DATE, "dates"), (_CLOCK, "times of the clock")):
        like = cells.str.fullmatch(pattern).to_numpy(dtype=bool)
        if counts[like].sum() >= _MOSTLY * counts.sum() and not numeric.all():
            raise InputError(_dates(place, what))
    _check_mixed(column, seen.index[numeric], counts[numeric].sum() / counts.sum(), place)
    distinct = cells.nunique()
    if distinct <= _MANY or distinct <= counts.sum() / 2 or numeric.all():
        return
    if (cells.str.count(r"\s+").to_numpy() * counts).sum() / counts.sum() + 1 >= _WORDS:
        raise InputError(
            f"{place} holds free text ({distinct} different ones in {counts.sum()} cells), "
            "expected numbers or categories; list it under exclude"
        )


def _dates(place: str, what: str) -> str:
    return (
        f"{place} holds {what}, expected numbers or categories; "
        "turn it into a duration, or list it under exclude"
    )


def _check_mixed(column: pd.Series, numbers: pd.Index, share: float, place: str) -> None:
    """A few words in a column of numbers, of which there are many, are a mistake, no categories."""
    if 0.5 < share < 1 and len(numbers) > 20:
        text = np.flatnonzero(column.notna() & ~column.isin(numbers))
        raise InputError(
            f"{place}: {int(column.notna().sum()) - len(text)} cells hold numbers and {len(text)} "
            f"text, the first in row {text[0] + 1}; empty the cells that mean unknown, or list it "
            "under exclude"
        )
