"""Columns that no model can learn from as they are, each refused in one line with the way out."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.outcomes.targets import class_names
from domains.table_file import Records

_MANY = 40
_WORDS = 4
_SEVERAL = 20
_MOSTLY = 0.9
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = (
    r"(?i)(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
    rf"|\d{{1,2}}[-/. ]+{_MONTH}[-/., ]+\d{{2,4}}|{_MONTH} +\d{{1,2}},? +\d{{2,4}})([ T,].*)?"
)
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_COMMA = r"[-+]?\d*,\d+|[-+]?\d{1,3}(,\d{3})+\.\d*"
_YEARS = (1900, 2100)  # of a day that is written as one number of eight digits


def check_features(frame: Records, where: str, categories: Collection[str] = ()) -> None:
    """Raise InputError for a column that cannot be a feature; names it and the way out.

    Refused are columns that are empty, hold one value and no gaps, dates, durations, times of the
    clock, numbers with commas, free text or names of records, or some words among numbers.
    `categories` are declared as such: what they hold are codes, but not true and false, nor another
    one in nearly every row.
    """
    for name in frame.columns:
        column = frame[name]
        place = f"{where}: column {name}"
        if column.isna().all():
            raise InputError(f"{place} is empty in all {len(frame)} rows; list it under exclude")
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            raise InputError(_dates(place, "dates"))
        if pd.api.types.is_timedelta64_dtype(column.dtype):
            raise InputError(
                f"{place} holds durations, expected numbers or categories; turn them into numbers, "
                "like days, or list it under exclude"
            )
        if len(column) > 1 and column.notna().all() and column.nunique() == 1:
            raise InputError(
                f"{place} holds one value in all {len(frame)} rows, expected several; "
                "list it under exclude"
            )
        if name in categories:
            _check_codes(column, place)
        elif not pd.api.types.is_numeric_dtype(column.dtype):
            _check_text(column, place)
        elif _days(column):
            raise InputError(_dates(place, "dates of eight digits"))


def _check_codes(column: pd.Series, place: str) -> None:
    """True and false are spelled in too many ways to be codes; as numbers they are read alike."""
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        raise InputError(
            f"{place} holds true and false, which are read as 1 and 0, expected codes or text; "
            "take it out of data.categories"
        )
    seen = [name for name in class_names(column) if name is not None]
    distinct = len(set(seen))
    if distinct > _MANY and distinct >= _MOSTLY * len(seen):
        raise InputError(
            f"{place} holds another value in nearly every row ({distinct} different ones in "
            f"{len(seen)} cells), expected categories; take it out of data.categories, or list it "
            "under exclude"
        )


def _days(column: pd.Series) -> bool:
    """Whether numbers are days like 20201231, as a few numbers that big would be by chance."""
    seen = column.dropna()
    if not seen.between(_YEARS[0] * 10_000, _YEARS[1] * 10_000).all():
        return False
    whole = pd.Series(seen.unique()).astype("int64").astype(str)
    return len(whole) > 1 and bool(
        pd.to_datetime(whole, format="%Y%m%d", errors="coerce").notna().all()
    )


def _check_text(column: pd.Series, place: str) -> None:
    seen = column.value_counts()  # each distinct cell is looked at once
    seen = seen[seen > 0]
    cells, counts = pd.Series(seen.index.astype(str)).str.strip(), seen.to_numpy()
    numeric = pd.to_numeric(cells, errors="coerce").notna().to_numpy()
    for pattern, what in ((_DATE, "dates"), (_CLOCK, "times of the clock")):
        like = cells.str.fullmatch(pattern).to_numpy(dtype=bool)
        if counts[like].sum() >= _MOSTLY * counts.sum() and not numeric.all():
            raise InputError(_dates(place, what))
    commas = cells.str.fullmatch(_COMMA).to_numpy(dtype=bool)
    if commas.sum() > _SEVERAL and counts[commas | numeric].sum() >= _MOSTLY * counts.sum():
        raise InputError(
            f"{place} holds numbers with commas, expected a point before decimals and nothing "
            "between thousands; write them so, or list it under exclude"
        )
    _check_mixed(column, seen.index[numeric], counts[numeric].sum() / counts.sum(), place)
    distinct = cells.nunique()
    if distinct <= _MANY or distinct <= counts.sum() / 2 or numeric.all():
        return
    if distinct >= _MOSTLY * counts.sum() and not cells.str.contains(r"\s").any():
        raise InputError(
            f"{place} holds another word in nearly every row ({distinct} different ones in "
            f"{counts.sum()} cells), expected numbers or categories; name it under "
            "data.patient if it says whose the record is, or list it under exclude"
        )
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
    if 0.5 < share < 1 and len(numbers) > _SEVERAL:
        text = np.flatnonzero(column.notna() & ~column.isin(numbers))
        raise InputError(
            f"{place}: {int(column.notna().sum()) - len(text)} cells hold numbers and {len(text)} "
            f"text, the first in row {text[0] + 1}; empty the cells that mean unknown, or list it "
            "under exclude"
        )
