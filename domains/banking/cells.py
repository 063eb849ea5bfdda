"""Fields as a file spells them, each read by itself.

Reading a whole column at once lets one field decide what all others are: a single word turns a
column of numbers into text. Here what one record holds changes the reading of no other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from domains.banking.census import LoanTable, feature_names
from domains.banking.features import Feature, Numeric, label
from domains.errors import InputError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.I | re.A)
_PLAIN = re.compile(r"(-?(?:0|[1-9]\d*))(\.\d+)?", re.A)  # 007 and 1e5 are codes
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?", re.A)
_WORDS = {
    word: str(word.lower() == "true")
    for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


def numbers_of(column: pd.Series) -> np.ndarray:
    """The number that each field spells, (n,) float64: NaN where it is empty or spells none."""
    if _is_number(column):
        return column.to_numpy(dtype=float, na_value=np.nan)
    if isinstance(column.dtype, pd.StringDtype):
        try:  # all at once, where every field spells one: rounded as Python does
            whole: np.ndarray = (
                pa.array(column, from_pandas=True).cast(pa.float64()).to_numpy(False)
            )
        except pa.ArrowException:
            pass
        else:
            return whole
    codes, distinct = pd.factorize(column)
    return np.array([*map(_number, distinct.tolist()), np.nan])[codes]


def kinds_of(column: pd.Series) -> pd.Series:
    """What each field is, `number`, `date` or `category`; None where it is empty."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        found = np.full(len(column), "date", dtype=object)
    else:
        found = np.full(len(column), "number", dtype=object)
        others = np.flatnonzero(np.isnan(numbers_of(column)))
        codes, distinct = pd.factorize(column.iloc[others])
        kinds = ["date" if _is_date(value) else "category" for value in distinct.tolist()]
        found[others] = np.array([*kinds, None], dtype=object)[codes]
    found[column.isna().to_numpy()] = None
    return pd.Series(found, index=column.index, name=column.name, dtype=object)


def texts_of(column: pd.Series) -> pd.Series:
    """Each field as `domains.banking.features.label` writes the value that it spells: 3 and 3.0 are
    one, and so are true and True; empty stays missing."""
    codes, distinct = pd.factorize(column)
    texts = np.array([*map(_text, distinct.tolist()), np.nan], dtype=object)
    return pd.Series(texts[codes], index=column.index, name=column.name, dtype=object)


def typed(frame: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """The frame with its features as numbers, empty where a field spells none, and as texts."""
    made = {
        each.column: (numbers_of if isinstance(each, Numeric) else texts_of)(frame[each.column])
        for each in features
    }
    return frame.assign(**made)


def check_spelled(table: LoanTable, frame: pd.DataFrame) -> None:
    """What no field of a private feature may be, unless it is declared a category.

    Raises:
        InputError: A field spells infinity, or not one field of a declared number is a number.
    """
    for name in feature_names(table, tuple(str(each) for each in frame.columns)):
        kind = "number" if name in table.bounds else table.types.get(name)
        if name in table.categories or kind == "category":
            continue
        numbers = numbers_of(frame[name])
        if kind == "number" and np.isnan(numbers).all():
            raise InputError(
                f"{table.path}: column {name!r}: text in each of {len(frame)} records, expected "
                "numbers, as bounds, monotone or data.types say; mend the file or take it out there"
            )
        rows = np.flatnonzero(np.isinf(numbers))
        if len(rows):
            raise InputError(
                f"{table.path}: record {rows[0] + 1}, column {name!r}: infinite value "
                f"({len(rows)} in this column); leave the field empty if the value is unknown"
            )


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Fields as text that is equal for equal values, however the file stores them."""
    made = {}
    for name in frame.columns:
        codes, distinct = pd.factorize(frame[name])
        texts = np.array([*map(_compared, distinct.tolist()), ""], dtype=object)
        made[str(name)] = texts[codes]
    return pd.DataFrame(made, index=frame.index)


def _is_number(column: pd.Series) -> bool:
    kind = column.dtype
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    spelled = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
    return float(value) if spelled else math.nan


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value.strip()) is not None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return label(value)
    plain = _PLAIN.fullmatch(value.strip())
    if plain is None:
        return _WORDS.get(value, value)
    whole = not (plain[2] or "").strip(".0")
    return plain[1] if whole else label(float(value))


def _compared(value: Any) -> str:
    number = float(value) if isinstance(value, bool) else _number(value)
    if not math.isnan(number):
        return repr(number + 0.0)
    if isinstance(value, str) and value in _WORDS:
        return repr(float(_WORDS[value] == "True"))
    if isinstance(value, pd.Timestamp) or _is_date(value):
        return _moment(value)
    return str(value)


def _moment(value: Any) -> str:
    try:
        return str(pd.Timestamp(value))
    except ValueError:  # 2005-13-45
        return str(value)
