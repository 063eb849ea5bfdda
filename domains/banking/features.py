"""What a loan's columns mean to a model: numbers with edges, categories with values, derivations.

Edges and value lists are public when the built-in set or the configuration declares them; those
that are None are read from the records under the run's own privacy plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from domains.errors import InputError

_FEW = 64
"""Cells up to which a loop in Python is quicker than a column of pandas."""


@dataclass(frozen=True)
class Numeric:
    """A number. `edges` rise strictly and cut its range into segments; None: not known yet."""

    column: str
    edges: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Categorical:
    """One of a list of values, compared as `label` writes them; None: not known yet."""

    column: str
    values: tuple[str, ...] | None = None


Feature = Numeric | Categorical


@dataclass(frozen=True)
class Untyped:
    """A column of private records that nobody declared: a number or a category, as they vote."""

    column: str


@dataclass(frozen=True)
class Derived:
    """A column computed from raw columns of the same record.

    `prefix`: the first two characters; `share`: first column over second; `above_one`: whether
    the number is above 1.
    """

    column: str
    kind: Literal["prefix", "share", "above_one"]
    of: tuple[str, ...]


def derive(frame: pd.DataFrame, derived: Sequence[Derived]) -> pd.DataFrame:
    """The frame with its derived columns added; empty where a raw value is empty.

    Raises:
        InputError: A raw column is missing, or holds text where a number is needed.
    """
    need(frame, [name for item in derived for name in item.of])
    return frame.assign(**{item.column: _DERIVE[item.kind](frame, item.of) for item in derived})


def need(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise InputError when one of the columns is not in the frame."""
    missing = [name for name in columns if name not in frame]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(
            f"column {missing[0]!r} is missing{more}; "
            f"the model needs {', '.join(dict.fromkeys(columns))}"
        )


def numbers(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column as float64, empty as NaN.

    Raises:
        InputError: A value is not a number, or infinite; names the row, not the value.
    """
    cells = frame[column]
    if cells.dtype == np.float64:  # as `models.intake` hands them over
        values = cells.to_numpy()
        wrong = np.flatnonzero(np.isinf(values))
    else:
        values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        wrong = np.flatnonzero((np.isnan(values) & cells.notna().to_numpy()) | np.isinf(values))
    if len(wrong):
        kind = "infinite value" if np.isinf(values[wrong[0]]) else "text"
        raise InputError(
            f"row {wrong[0] + 1}, column {column!r}: {kind}, expected a number "
            f"({len(wrong)} such in this column); leave the field empty if it is unknown"
        )
    return values


def check_numbers(frame: pd.DataFrame, features: Sequence[Feature]) -> None:
    """Raise InputError where a numeric feature holds anything else; see `numbers`."""
    for feature in features:
        if isinstance(feature, Numeric):
            numbers(frame, feature.column)


def labels(series: pd.Series) -> pd.Series:
    """Values as text to compare categories by: 3, 3.0 and "3" are one; empty stays missing."""
    codes, known = coded(series)
    return pd.Series(np.array([*known, np.nan], dtype=object)[codes], index=series.index)


def coded(series: pd.Series) -> tuple[np.ndarray, list[str]]:
    """The same, each value looked at once: codes (n,), -1 where empty, and the label of each.

    Two codes may have one label.
    """
    distinct: Any
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, distinct = series.cat.codes.to_numpy(), series.cat.categories
    elif pd.api.types.is_object_dtype(series.dtype):  # 1 and True would pass for one value
        if len(series) <= _FEW:
            return _coded_cells(series.tolist())
        codes, distinct = pd.factorize(series.map(label, na_action="ignore"))
    elif pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
        codes, distinct = pd.factorize(series.to_numpy(dtype=float, na_value=np.nan))
    else:
        codes, distinct = pd.factorize(series)
    return codes, [label(value) for value in distinct.tolist()]


def _coded_cells(cells: list[Any]) -> tuple[np.ndarray, list[str]]:
    """`coded` of a few cells, of which pandas would make more ado than of their number."""
    places: dict[str, int] = {}
    codes = [-1 if pd.isna(cell) else places.setdefault(label(cell), len(places)) for cell in cells]
    return np.array(codes, dtype=np.intp), list(places)


def label(value: object) -> str:
    """One value as `labels` writes it.

    >>> label(3.0), label("3"), label(True)
    ('3', '3', 'True')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def to_json(items: Sequence[Feature | Derived]) -> list[dict[str, Any]]:
    """Features or derivations as JSON values."""
    return [{"type": type(item).__name__.lower(), **asdict(item)} for item in items]


def from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    """The inverse of `to_json`."""
    made = []
    for value in values:
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        made.append(_TYPES[str(fields.pop("type"))](**fields))
    return tuple(made)


def _prefix(frame: pd.DataFrame, of: tuple[str, ...]) -> pd.Categorical[Any]:
    codes, known = coded(frame[of[0]])
    # the code 0, which a file may spell 0.0, means none was given
    cut = [text[:2] if text.strip("0.") else None for text in known]
    places, distinct = pd.factorize(np.array(cut, dtype=object))
    return pd.Categorical.from_codes(np.append(places, -1)[codes], pd.Index(distinct))


def _share(frame: pd.DataFrame, of: tuple[str, ...]) -> np.ndarray:
    part, whole = (numbers(frame, name) for name in of)
    most = np.finfo(float).max
    with np.errstate(over="ignore"):  # a share too large for a number is the largest one
        share = np.divide(part, whole, out=np.full(len(frame), np.nan), where=whole > 0)
    return np.clip(share, -most, most)


def _above_one(frame: pd.DataFrame, of: tuple[str, ...]) -> pd.Categorical[Any]:
    values = numbers(frame, of[0])
    return pd.Categorical.from_codes(
        np.where(np.isnan(values), -1, values > 1), pd.Index(["no", "yes"])
    )


_DERIVE: dict[str, Callable[[pd.DataFrame, tuple[str, ...]], Any]] = {
    "prefix": _prefix,
    "share": _share,
    "above_one": _above_one,
}
_TYPES: dict[str, type] = {"numeric": Numeric, "categorical": Categorical, "derived": Derived}
