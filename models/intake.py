"""From raw cells, however a file or a request spells them, to the typed frame a scorer takes.

Batch and HTTP both come through here, so that the same record gets the same prediction. Whether a
record can be scored is judged by that record alone: one bad cell rejects its row and no other, and
a reason names the column and the kind of thing found, never the cell's content.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from domains.errors import InputError
from domains.tables import MISSING

_TEXT = "text, expected a number"
_INFINITE = "an infinite value, expected a number; leave it empty if it is unknown"
_NESTED = "a list, an object or bytes, expected one plain value"
_OTHER = "neither a number nor text, expected a number"
_WORDS = {"true": 1.0, "True": 1.0, "TRUE": 1.0, "false": 0.0, "False": 0.0, "FALSE": 0.0}
_CONTAINERS = (list, dict, tuple, np.ndarray, bytes)
_MISSING = frozenset(MISSING)
_SHOWN = 12

Wrong = dict[int, str]
"""Position of a row → what was found there."""


@dataclass(frozen=True)
class Field:
    """A raw column that a scorer needs.

    Attributes:
        name: Of the column.
        kind: `number`, or `text` for categories, which may be stored as numbers too.
        lines: Whether the model knows a category with a line break in it.
    """

    name: str
    kind: Literal["number", "text"]
    lines: bool = False


@dataclass(frozen=True)
class Accepted:
    """What of a table can be scored.

    Attributes:
        frame: The acceptable rows, one column a field: numbers as float64, NaN where empty.
        kept: Their positions in the table, ascending, (len(frame),).
        reasons: Position of every other row → why it cannot be scored, without its content.
    """

    frame: pd.DataFrame
    kept: np.ndarray
    reasons: dict[int, str]


def accept(frame: pd.DataFrame, fields: Sequence[Field], where: str = "input") -> Accepted:
    """Type the cells of raw records, and set aside the rows that cannot be scored.

    Text that spells a number is that number; an empty cell is missing, and so is a text of
    `domains.tables.MISSING` where a number is expected. Other columns are passed over.

    Args:
        frame: Cells as text (CSV), Python values (JSON) or typed (Parquet).
        fields: What the scorer needs.
        where: Name of the file or request, for messages.

    Raises:
        InputError: A column is missing.

    >>> raw = pd.DataFrame({"age": ["51", "old", None]})
    >>> accepted = accept(raw, [Field("age", "number")])
    >>> accepted.kept.tolist(), accepted.reasons
    ([0, 2], {1: "column 'age': text, expected a number"})
    """
    need(frame.columns, fields, where)
    columns: dict[str, Any] = {}
    reasons: dict[int, str] = {}
    for field in fields:
        columns[field.name], wrong = _READERS[field.kind](frame[field.name])
        for row, found in wrong.items():
            reasons.setdefault(row, f"column {field.name!r}: {found}")
    return _accepted(columns, reasons, len(frame))


def accept_records(records: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> Accepted:
    """`accept` of records as JSON spells them, without a table in between.

    Args:
        records: Each holds every field; what else it holds is passed over.
        fields: What the scorer needs.
    """
    columns: dict[str, Any] = {}
    reasons: dict[int, str] = {}
    for field in fields:
        cells = [record[field.name] for record in records]
        columns[field.name], wrong = _READ_CELLS[field.kind](cells)
        for row, found in wrong.items():
            reasons.setdefault(row, f"column {field.name!r}: {found}")
    return _accepted(columns, reasons, len(records))


def _accepted(columns: dict[str, Any], reasons: dict[int, str], rows: int) -> Accepted:
    typed = pd.DataFrame(columns, index=pd.RangeIndex(rows))
    if not reasons:
        return Accepted(typed, np.arange(rows), reasons)
    kept = np.delete(np.arange(rows), list(reasons))
    return Accepted(typed.iloc[kept].reset_index(drop=True), kept, dict(sorted(reasons.items())))


def need(columns: Iterable[str], fields: Sequence[Field], where: str) -> None:
    """Raise InputError when one of the fields is not among the columns."""
    given = set(columns)
    missing = [field.name for field in fields if field.name not in given]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        names = [field.name for field in fields]
        listed = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
        raise InputError(
            f"{where}: column {missing[0]!r} is missing{more}; the model needs {len(names)}: "
            f"{listed}; give every one of them, empty where unknown"
        )


def _numbers(column: pd.Series) -> tuple[np.ndarray, Wrong]:
    """A column as float64, NaN where empty."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _numbers_by_category(column)
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        values, wrong = column.to_numpy(dtype=float, na_value=np.nan), Wrong()
    else:
        parsed = _parsed(column) if isinstance(kind, pd.StringDtype) else None
        if parsed is None:
            return _cell_by_cell(column.tolist())
        values, wrong = parsed, Wrong()
    wrong |= dict.fromkeys(np.flatnonzero(np.isinf(values)).tolist(), _INFINITE)
    return values, wrong


def _numbers_by_category(column: pd.Series) -> tuple[np.ndarray, Wrong]:
    values, wrong = _numbers(pd.Series(column.cat.categories))
    codes = column.cat.codes.to_numpy()
    rows = np.flatnonzero(np.isin(codes, list(wrong))).tolist()
    return np.append(values, np.nan)[codes], {row: wrong[codes[row]] for row in rows}


def _parsed(column: pd.Series) -> np.ndarray | None:
    """Texts that all spell numbers, at once; None when one does not.

    Arrow and Python both round to the nearest float64, so the other way gives the same numbers.
    """
    try:
        cells = pa.array(column, from_pandas=True)
        values: np.ndarray = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        return None
    spelled = np.isnan(values).sum() == cells.null_count
    return values if spelled else None


def _cell_by_cell(cells: list[Any]) -> tuple[np.ndarray, Wrong]:
    values, wrong = np.full(len(cells), np.nan), Wrong()
    for row, cell in enumerate(cells):
        found = _number(cell)
        if isinstance(found, str):
            wrong[row] = found
        else:
            values[row] = found
            if math.isinf(found):
                wrong[row] = _INFINITE
    return values, wrong


def _number(cell: Any) -> float | str:
    """The number that a cell holds, or what is wrong with it."""
    if isinstance(cell, str):
        return _spelled(cell.strip())
    if isinstance(cell, _CONTAINERS):
        return _NESTED
    if pd.isna(cell):
        return np.nan
    if isinstance(cell, int | float | Decimal | np.number | np.bool_):
        try:
            return float(cell)
        except OverflowError:
            return _INFINITE
    return _OTHER


def _spelled(text: str) -> float | str:
    if text in _MISSING:
        return np.nan
    if text in _WORDS:
        return _WORDS[text]
    try:
        return _TEXT if "_" in text else float(text)
    except ValueError:
        return _TEXT


def _texts(column: pd.Series) -> tuple[pd.Series, Wrong]:
    """A column of categories: missing where empty, nested values set aside."""
    column = column.reset_index(drop=True)
    if pd.api.types.is_object_dtype(column.dtype):
        return _plain(column.tolist())
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return column.cat.remove_categories([c for c in kind.categories if c in _MISSING]), Wrong()
    if isinstance(kind, pd.StringDtype) and (empty := column.isin(list(_MISSING))).any():
        column = column.mask(empty.to_numpy(dtype=bool, na_value=False))
    return column, Wrong()


def _plain(cells: list[Any]) -> tuple[pd.Series, Wrong]:
    nested = [row for row, cell in enumerate(cells) if isinstance(cell, _CONTAINERS)]
    plain = [None if _is_empty(c) else c for c in cells]
    return pd.Series(plain, dtype=object), dict.fromkeys(nested, _NESTED)


def _is_empty(cell: Any) -> bool:
    """What a CSV file would hold for a missing value is missing wherever it comes from."""
    return isinstance(cell, _CONTAINERS) or (isinstance(cell, str) and cell in _MISSING)


_READERS: dict[str, Callable[[pd.Series], tuple[Any, Wrong]]] = {
    "number": _numbers,
    "text": _texts,
}
_READ_CELLS: dict[str, Callable[[list[Any]], tuple[Any, Wrong]]] = {
    "number": _cell_by_cell,
    "text": _plain,
}
