"""Loans for default prediction: whose they are, which are read, what may be a feature.

Reading has two steps. `take_census` looks at public facts alone: the column names, and how many
records each client holds. `read_loans` reads the records, and is called only once their owners'
budgets have been charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from domains import splits
from domains.banking.features import Categorical, Derived, Feature, Numeric, derive, label, labels
from domains.errors import InputError
from domains.tables import check_filled, column_names, read_table, row_count

PARTS = {"train": 0.7, "calibration": 0.1, "test": 0.2}
"""Shares of each client's records, by keyed hash of the borrower."""
LATER = "out-of-time"
_SEGMENTS = 10
_SKEWED = 1000.0


@dataclass(frozen=True)
class LoanTable:
    """Where loans are and what their columns mean, known before any record is read.

    Attributes:
        name: Built-in name, or the name their owners are kept under.
        path: CSV or Parquet file.
        public: Whether records may be used without a charge.
        target, positive: Column of the outcome, and its value that means default.
        lender: Column that names the clients; None where `parts` says how many are cut here.
        top: Only the clients with most records.
        parts, by, alpha: How many clients are cut, and how; see `domains.splits.partition`.
        borrower: Column of the borrower's id; None: every row is a borrower of its own.
        record: Column of the record's own id; None: a hash of its content.
        date: Column of the approval date.
        approved: First and last day of approval of the records that take part.
        later: Records approved from this day on are the out-of-time test.
        cap: At most so many records a client, chosen by hash; for public data only.
        incomplete: Leave out records without client or outcome instead of refusing the file.
        exclude: Columns that are never features.
        derived, features: Declared for the built-in set; None: every column that is left.
        bounds, categories: Public bounds and value lists of columns.
    """

    name: str
    path: Path
    public: bool
    target: str
    positive: str | int | float
    lender: str | None = None
    top: int | None = None
    parts: int | None = None
    by: str = "iid"
    alpha: float = 0.5
    borrower: str | None = None
    record: str | None = None
    date: str | None = None
    approved: tuple[pd.Timestamp, pd.Timestamp] | None = None
    later: pd.Timestamp | None = None
    cap: int | None = None
    incomplete: bool = False
    exclude: frozenset[str] = frozenset()
    derived: tuple[Derived, ...] = ()
    features: tuple[Feature, ...] | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    categories: Mapping[str, list[str | int | float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Census:
    """Public facts: column names, and each client's number of records, largest first."""

    columns: tuple[str, ...]
    sizes: dict[str, int]


@dataclass(frozen=True)
class Loans:
    """Records in memory; all arrays are as long as the frame.

    Attributes:
        frame: Raw and derived columns.
        y: 1 for default, float32.
        client: Name of the client that holds the record.
        group: Id of the borrower.
        record: Id of the record, unique.
        part: `train`, `calibration`, `test` or `out-of-time`.
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


def take_census(table: LoanTable) -> Census:
    """Column names and the clients' numbers of records; no other value is looked at.

    Where the configuration limits the approval dates, that column is read too.

    Raises:
        InputError: A named column is missing, or some record has no client.
    """
    columns = tuple(column_names(table.path))
    _check_named(table, columns)
    if table.parts is not None:
        each = _capped(row_count(table.path) // table.parts, table.cap)
        return Census(columns, {f"part {k + 1}": each for k in range(table.parts)})
    wanted = [name for name in (table.lender, table.approved and table.date) if name]
    members = _window(table, read_table(table.path, wanted))
    sizes = _named(table, members[table.lender]).value_counts()
    sizes = sizes.sort_index().sort_values(ascending=False, kind="stable")[: table.top]
    if sizes.empty:
        raise InputError(f"{table.path}: no record is left by the configured dates")
    return Census(columns, {str(k): _capped(int(n), table.cap) for k, n in sizes.items()})


def feature_names(table: LoanTable, columns: tuple[str, ...]) -> list[str]:
    """Columns that are features: what is declared, else whatever is nothing else."""
    if table.features is not None:
        names = [feature.column for feature in table.features]
    else:
        special = {table.target, table.lender, table.borrower, table.record, table.date}
        names = [name for name in columns if name not in special]
    names = [name for name in names if name not in table.exclude]
    if not names:
        raise InputError(f"{table.path}: no column is left to learn from; shorten exclude")
    return names


def private_columns(table: LoanTable, columns: tuple[str, ...]) -> list[str]:
    """Features whose bins or values are not public and must be read under the plan."""
    known = {f.column for f in table.features or ()} | set(table.bounds) | set(table.categories)
    return [name for name in feature_names(table, columns) if name not in known]


def describe_features(table: LoanTable, frame: pd.DataFrame) -> list[Feature]:
    """Every feature with its public edges or values, or None where they are not public.

    A column's type is part of the schema, which is public; its values are not looked at.
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
        InputError: An empty or one-sided target, an infinite value, an empty column, a date that
            is none.
    """
    frame = _window(table, read_table(table.path, _needed(table, census.columns)))
    notes: list[str] = []
    if table.lender is not None:
        frame = frame[_named(table, frame[table.lender]).isin(list(census.sizes))]
    frame = _labelled(table, frame, notes).reset_index(drop=True)
    record = _record_ids(table, frame, key)
    group = record if table.borrower is None else _filled(table, frame, table.borrower)
    keep = _below_cap(table, frame, group, key)
    frame, record, group = frame[keep].reset_index(drop=True), record[keep], group[keep]
    y = _outcome(table, frame)
    if table.derived:
        frame = derive(frame, table.derived)
    check_filled(frame, feature_names(table, tuple(frame.columns)), table.path)
    later = _later(table, frame)
    part = splits.assign(group, PARTS, key)
    if not table.public:
        part[later] = LATER  # no second training: what came later never trains
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


def _check_named(table: LoanTable, columns: tuple[str, ...]) -> None:
    named = [table.target, table.lender, table.borrower, table.record, table.date]
    named += [*table.bounds, *table.categories]
    for name in named:
        made = any(item.column == name for item in table.derived)
        if name is not None and name not in columns and not made:
            raise InputError(
                f"{table.path}: no column {name!r}, which the configuration names; "
                f"the file has {', '.join(columns)}"
            )


def _needed(table: LoanTable, columns: tuple[str, ...]) -> list[str]:
    """Columns to read: all of them where a record is known by its content alone."""
    if table.record is None:
        return list(columns)
    wanted = {table.target, table.lender, table.borrower, table.record, table.date}
    wanted |= {name for item in table.derived for name in item.of}
    return [name for name in columns if name in wanted | set(feature_names(table, columns))]


def _capped(count: int, cap: int | None) -> int:
    return count if cap is None else min(count, cap)


def _named(table: LoanTable, lenders: pd.Series) -> pd.Series:
    empty = int(lenders.isna().sum())
    if empty and not table.incomplete:
        raise InputError(
            f"{table.path}: column {table.lender!r} is empty in {empty} of {len(lenders)} rows, "
            "and every record needs its client"
        )
    return labels(lenders)


def _window(table: LoanTable, frame: pd.DataFrame) -> pd.DataFrame:
    if table.approved is None or table.date is None:
        return frame
    first, last = table.approved
    return frame[_dates(table, frame).between(first, last)]


def _dates(table: LoanTable, frame: pd.DataFrame) -> pd.Series:
    dates = frame[str(table.date)]
    if not pd.api.types.is_datetime64_any_dtype(dates):
        raise InputError(
            f"{table.path}: column {table.date!r} holds {dates.dtype}, expected dates "
            "written as 2005-12-31 in every row"
        )
    return dates


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
    notes.append(f"{count} of {len(frame)} loans have no recorded outcome and were left out.")
    return frame[~empty]


def _outcome(table: LoanTable, frame: pd.DataFrame) -> np.ndarray:
    y = (labels(frame[table.target]) == label(table.positive)).to_numpy()
    if y.all() or not y.any():
        other = "only" if y.any() else "never"
        raise InputError(
            f"{table.path}: target {table.target!r} {other} holds the positive value "
            f"{table.positive!r} in {len(y)} records, expected both outcomes; check target.positive"
        )
    return y.astype(np.float32)


def _record_ids(table: LoanTable, frame: pd.DataFrame, key: bytes) -> np.ndarray:
    """The record's own id, or a keyed hash of its content; a repeated one is numbered."""
    if table.record is not None:
        content = _filled(table, frame, table.record)
    else:
        hashed = pd.util.hash_pandas_object(frame, index=False, hash_key=key.hex()[:16])
        content = np.array([f"{value:016x}" for value in hashed], dtype=object)
    again = pd.Series(content).groupby(content, sort=False).cumcount().to_numpy()
    for row in np.flatnonzero(again):
        content[row] = f"{content[row]}-{again[row]}"
    return content


def _filled(table: LoanTable, frame: pd.DataFrame, name: str) -> np.ndarray:
    empty = int(frame[name].isna().sum())
    if empty:
        raise InputError(f"{table.path}: id column {name!r} is empty in {empty} rows")
    return np.array(labels(frame[name]), dtype=object)


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
    return (_dates(table, frame) >= table.later).to_numpy()


def _clients(
    table: LoanTable, frame: pd.DataFrame, y: np.ndarray, group: np.ndarray, key: bytes
) -> np.ndarray:
    if table.lender is not None:
        return labels(frame[table.lender]).to_numpy(dtype=object)
    numbers = splits.partition(
        y, group, count=table.parts or 1, by=table.by, alpha=table.alpha, key=key
    )
    return np.array([f"part {k + 1}" for k in numbers], dtype=object)


def _describe(
    table: LoanTable, frame: pd.DataFrame, name: str, declared: dict[str, Feature]
) -> Feature:
    if name in table.categories:
        return Categorical(name, tuple(dict.fromkeys(label(v) for v in table.categories[name])))
    if name in table.bounds:
        return Numeric(name, edges_between(*table.bounds[name]))
    if name in declared:
        return declared[name]
    kind = frame[name].dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        raise InputError(f"{table.path}: column {name!r} holds dates; add it to exclude")
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        return Numeric(name)
    return Categorical(name)
