"""Loans for default prediction: whose they are, which are read, what may be a feature.

Reading has two steps. `census.take_census` looks at public facts alone: the column names, and how
many records each client holds. `read_loans` reads the records, and is called only once their
owners' budgets have been charged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains import splits
from domains.banking.cells import check_spelled, comparable, texts_of
from domains.banking.census import (
    Census,
    LoanTable,
    approval_dates,
    feature_names,
    no_record_left,
    with_client,
    within_dates,
)
from domains.banking.features import (
    Categorical,
    Feature,
    Numeric,
    Untyped,
    derive,
    label,
    labels,
)
from domains.errors import InputError
from domains.row_ids import row_ids
from domains.tables import check_filled, read_table

PARTS = {"train": 0.7, "calibration": 0.1, "test": 0.2}
"""Shares of each client's records, by keyed hash of the borrower."""
LATER, LEFT = "out-of-time", "left out"
_SEGMENTS = 10
_SKEWED = 1000.0
_SHOWN = 8


@dataclass(frozen=True)
class Loans:
    """Records in memory; all arrays are as long as the frame.

    Attributes:
        frame: Raw and derived columns.
        y: 1 for default, float32.
        client: Name of the client that holds the record.
        group: Id of the borrower; without one, of the content, so that equal rows stay together.
        record: Id of the record, unique.
        part: `train`, `calibration`, `test`, `out-of-time` or `left out`.
        later: Whether it was approved on or after the day of the out-of-time test.
        notes: What was left out, and why.
    """

    frame: pd.DataFrame
    y: np.ndarray
    client: np.ndarray
    group: np.ndarray
    record: np.ndarray
    part: np.ndarray
    later: np.ndarray
    notes: tuple[str, ...]


def describe_features(table: LoanTable, frame: pd.DataFrame) -> list[Feature | Untyped]:
    """Every feature with its public edges or values, or None where they are not public.

    Of private records no value is looked at: what is not declared stays untyped.
    """
    declared = {feature.column: feature for feature in table.features or ()}
    columns = tuple(str(name) for name in frame.columns)
    return [_describe(table, frame, name, declared) for name in feature_names(table, columns)]


def read_loans(table: LoanTable, census: Census, key: bytes) -> Loans:
    """The records of the clients in the census, validated and assigned to their parts.

    Args:
        table: What to read.
        census: From `take_census`.
        key: Of the split, from `domains.splits.split_key`.

    Raises:
        InputError: An empty or one-sided target, or one of more values than were declared, an
            infinite value, an empty column, a date that is none.
    """
    frame = within_dates(table, _read(table, census))
    if frame.empty:
        raise InputError(no_record_left(table))
    notes: list[str] = []
    if table.lender is not None:
        frame = frame[with_client(table, frame[table.lender]).isin(list(census.sizes))]
    frame = _labelled(table, frame, notes).reset_index(drop=True)
    content = _content(table, frame, key)
    record = _numbered(content)
    group = content if table.borrower is None else _filled(table, frame, table.borrower)
    keep = _below_cap(table, frame, group, key)
    frame, record, group = frame[keep].reset_index(drop=True), record[keep], group[keep]
    y = _outcome(table, frame)
    if table.derived:
        frame = derive(frame, table.derived)
    check_filled(frame, feature_names(table, tuple(frame.columns)), table.path)
    if not table.public:
        check_spelled(table, frame)
    later = _later(table, frame)
    part = splits.assign(group, PARTS, key)
    if not table.public:
        part[later] = _parts_later(part[later])
    client = _clients(table, frame, y, group, key)
    return Loans(frame, y, client, group, record, part, later, tuple(notes))


def edges_between(low: float, high: float) -> tuple[float, ...]:
    """Edges over public bounds: evenly spaced, or by asinh where the range is wide, as money is.

    >>> edges_between(0, 10)[:3]
    (0.0, 1.0, 2.0)
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"bounds: found [{low}, {high}], expected two numbers, the first smaller")
    if high - low < _SKEWED:
        edges = np.linspace(low, high, _SEGMENTS + 1)
    else:
        edges = np.sinh(np.linspace(np.arcsinh(low), np.arcsinh(high), _SEGMENTS + 1))
    return tuple(float(edge) for edge in edges)


def _read(table: LoanTable, census: Census) -> pd.DataFrame:
    """Private fields come as they are spelled; clients are public, and a date must be one."""
    names = _needed(table, census.columns)
    spelled = [name for name in names if name not in (table.lender, table.date)]
    return read_table(table.path, names, () if table.public else spelled)


def _needed(table: LoanTable, columns: tuple[str, ...]) -> list[str]:
    """Columns to read: all of them where a record is known by its content alone."""
    if table.record is None:
        return list(columns)
    wanted = {table.target, table.lender, table.borrower, table.record, table.date}
    wanted |= set(table.protected)
    wanted |= {name for item in table.derived for name in item.of}
    return [name for name in columns if name in wanted | set(feature_names(table, columns))]


def _labelled(table: LoanTable, frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    empty = frame[table.target].isna()
    if not empty.any():
        return frame
    count = int(empty.sum())
    if not table.incomplete:
        raise InputError(
            f"{table.path}: target {table.target!r} is empty in {count} of {len(frame)} rows, "
            f"the first at row {int(np.flatnonzero(empty)[0]) + 1}; "
            "leave such loans out of the file, for their outcome is not known"
        )
    notes.append(f"{count:,} of {len(frame):,} loans have no recorded outcome and were left out.")
    return frame[~empty]


def _labels(table: LoanTable, column: pd.Series) -> pd.Series:
    return labels(column) if table.public else texts_of(column)


def _outcome(table: LoanTable, frame: pd.DataFrame) -> np.ndarray:
    found = _labels(table, frame[table.target])
    _check_values(table, found)
    y = (found == label(table.positive)).to_numpy()
    if y.all() or not y.any():
        other = "only" if y.any() else "never"
        raise InputError(
            f"{table.path}: target {table.target!r} {other} holds the positive value "
            f"{table.positive!r} in {len(y)} records, expected both outcomes; check target.positive"
        )
    return y.astype(np.float32)


def _check_values(table: LoanTable, found: pd.Series) -> None:
    """Two values, or those that the configuration names: any other is not for us to interpret."""
    positive, negative = label(table.positive), {label(value) for value in table.negative}
    values = found.value_counts().index.tolist()
    others = [value for value in values if value != positive]
    odd = [value for value in others if value not in negative] if negative else others[1:]
    if not odd:
        return
    first = int(np.flatnonzero(found.isin(odd))[0]) + 1
    held = f"{len(values)} different values"
    if table.public:
        held = ", ".join(map(repr, values[:_SHOWN])) + (", …" if len(values) > _SHOWN else "")
    asked = " and ".join([f"target.positive {positive!r}", *(map(repr, sorted(negative)))])
    expected = asked if negative else f"two, of which {positive!r} is target.positive"
    raise InputError(
        f"{table.path}: target {table.target!r} holds {held} in {len(found)} records, expected "
        f"{expected}; the first other one is at record {first}: list every value that means no "
        "default in target.negative, and leave loans of unknown outcome out of the file"
    )


def _content(table: LoanTable, frame: pd.DataFrame, key: bytes) -> np.ndarray:
    """The record's own id, or a keyed hash of its content, the same for the same record."""
    if table.record is not None:
        return _filled(table, frame, table.record)
    return row_ids(frame if table.public else comparable(frame), key)


def _numbered(content: np.ndarray) -> np.ndarray:
    """Ids of records: a repeated content is numbered."""
    record = content.copy()
    again = pd.Series(content).groupby(content, sort=False).cumcount().to_numpy()
    for row in np.flatnonzero(again):
        record[row] = f"{record[row]}-{again[row]}"
    return record


def _filled(table: LoanTable, frame: pd.DataFrame, name: str) -> np.ndarray:
    empty = int(frame[name].isna().sum())
    if empty:
        raise InputError(f"{table.path}: id column {name!r} is empty in {empty} rows")
    return np.array(_labels(table, frame[name]), dtype=object)


def _below_cap(table: LoanTable, frame: pd.DataFrame, group: np.ndarray, key: bytes) -> np.ndarray:
    if table.cap is None:
        return np.ones(len(frame), dtype=bool)
    order = pd.Series(splits.positions(group, key[::-1]))
    lender = frame[table.lender].astype(str).to_numpy() if table.lender else np.zeros(len(frame))
    most = table.cap * (1 if table.lender else table.parts or 1)
    return (order.groupby(lender).rank(method="first") <= most).to_numpy()


def _later(table: LoanTable, frame: pd.DataFrame) -> np.ndarray:
    if table.later is None or table.date is None:
        return np.zeros(len(frame), dtype=bool)
    return (approval_dates(table, frame) >= table.later).to_numpy()


def _parts_later(parts: np.ndarray) -> np.ndarray:
    """On private data later approvals never train. They are tested where the key has put the
    borrower, or without one the record, on the side of the test, whatever the file holds of him
    earlier: who trained does not decide who is tested, and what trains while no day is set, or
    another one, is tested under none."""
    return np.array([LEFT, LATER], dtype=object)[(parts == "test").astype(int)]


def _clients(
    table: LoanTable, frame: pd.DataFrame, y: np.ndarray, group: np.ndarray, key: bytes
) -> np.ndarray:
    if table.lender is not None:
        return with_client(table, frame[table.lender]).to_numpy(dtype=object)
    numbers = splits.partition(
        y, group, count=table.parts or 1, by=table.by, alpha=table.alpha, key=key
    )
    return np.array([f"part {k + 1}" for k in numbers], dtype=object)


def _describe(
    table: LoanTable, frame: pd.DataFrame, name: str, declared: dict[str, Feature]
) -> Feature | Untyped:
    if name in table.categories:
        return Categorical(name, tuple(dict.fromkeys(label(v) for v in table.categories[name])))
    if name in table.bounds:
        given = tuple(table.bounds[name])
        return Numeric(name, given if len(given) > 2 else edges_between(given[0], given[1]))
    if name in declared:
        return declared[name]
    if name in table.types:
        return Numeric(name) if table.types[name] == "number" else Categorical(name)
    return _by_values(table, frame[name]) if table.public else Untyped(name)


def _by_values(table: LoanTable, column: pd.Series) -> Feature:
    name, kind = str(column.name), column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        raise InputError(f"{table.path}: column {name!r} holds dates; add it to exclude")
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        return Numeric(name)
    return Categorical(name)
