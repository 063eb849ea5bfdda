"""Public facts about loans: whose they are and how many, known before any record is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from domains.banking.features import Derived, Feature, label, labels
from domains.errors import InputError
from domains.tables import column_names, read_table, row_count

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.A)


@dataclass(frozen=True)
class LoanTable:
    """Where loans are and what their columns mean, known before any record is read.

    Attributes:
        name: Built-in name, or the name their owners are kept under.
        path: CSV or Parquet file.
        public: Whether records may be used without a charge.
        target, positive: Column of the outcome, and its value that means default.
        negative: Its values that mean none; empty: whichever other one there is.
        lender: Column that names the clients; None where `parts` says how many are cut here.
        top, skip: Only the clients with most records, after so many of them.
        parts, by, alpha: How many clients are cut, and how; see `domains.splits.partition`.
        borrower: Column of the borrower's id; None: every row is a borrower of its own.
        record: Column of the record's own id; None: a hash of its content.
        date: Column of the approval date.
        approved: First and last day of approval of the records that take part.
        later: Records approved from this day on are the out-of-time test.
        cap: At most so many records a client, chosen by hash; for public data only.
        incomplete: Leave out records without client or outcome instead of refusing the file.
        exclude: Columns that are never features.
        protected: Columns by whose values decisions are compared.
        derived, features: Declared for the built-in set; None: every column that is left.
        bounds, categories: Public bounds (or all edges) and value lists of columns.
        types: What columns are that have neither: `number` or `category`.
    """

    name: str
    path: Path
    public: bool
    target: str
    positive: str | int | float
    negative: tuple[str | int | float, ...] = ()
    lender: str | None = None
    top: int | None = None
    skip: int = 0
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
    protected: tuple[str, ...] = ()
    derived: tuple[Derived, ...] = ()
    features: tuple[Feature, ...] | None = None
    bounds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    categories: Mapping[str, list[str | int | float]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Census:
    """Public facts: column names, and each client's number of records, largest first.

    Of private records the number is that of all the file holds of a client, whatever their dates:
    how many were approved in a window is not public, and cannot be, for windows that differ by a
    day would count the records of that day.

    Attributes:
        columns: Their names.
        sizes: Client → number of records; where the job cuts the clients, equal shares of them.
        over: Records that equal shares leave over; they belong to clients too.
    """

    columns: tuple[str, ...]
    sizes: dict[str, int]
    over: int = 0

    @property
    def records(self) -> int:
        """Of all clients together."""
        return sum(self.sizes.values()) + self.over


def take_census(table: LoanTable) -> Census:
    """Column names and the clients' numbers of records; no other value is looked at.

    Where the configuration limits the approval dates of public records, that column is read too.

    Raises:
        InputError: A named column is missing, some record has no client, or there are fewer records
            than clients to cut them into.
    """
    columns = tuple(column_names(table.path))
    _check_named(table, columns)
    if table.parts is not None:
        return _equal_parts(table, columns, table.parts)
    cut = table.date if table.public and table.approved else None
    members = read_table(table.path, [name for name in (table.lender, cut) if name])
    if cut:
        members = within_dates(table, members)
    sizes = with_client(table, members[table.lender]).value_counts()
    sizes = sizes.sort_index().sort_values(ascending=False, kind="stable")
    if sizes.empty:
        raise InputError(no_record_left(table))
    sizes = sizes[table.skip :][: table.top]
    if sizes.empty:
        raise InputError(f"clients.skip: found {table.skip}, and no client is left after so many")
    return Census(columns, {str(k): capped(int(n), table.cap) for k, n in sizes.items()})


def _equal_parts(table: LoanTable, columns: tuple[str, ...], parts: int) -> Census:
    rows = row_count(table.path)
    if rows < parts:
        raise InputError(
            f"{table.path}: {rows} records cannot be cut into {parts} clients; "
            f"clients.count: expected at most {rows}"
        )
    each = capped(rows // parts, table.cap)
    over = rows - parts * each if table.cap is None else 0
    return Census(columns, {f"part {k + 1}": each for k in range(parts)}, over)


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


def _check_named(table: LoanTable, columns: tuple[str, ...]) -> None:
    if table.target in table.protected:
        raise InputError(
            f"protected: {table.target!r} is the target; expected columns of what borrowers are"
        )
    named = [table.target, table.lender, table.borrower, table.record, table.date]
    named += [*table.bounds, *table.categories, *table.types, *table.protected]
    for name in named:
        made = any(item.column == name for item in table.derived)
        if name is not None and name not in columns and not made:
            raise InputError(
                f"{table.path}: no column {name!r}, which the configuration names; "
                f"the file has {', '.join(columns)}"
            )


def capped(count: int, cap: int | None) -> int:
    """A client's number of records that take part."""
    return count if cap is None else min(count, cap)


def with_client(table: LoanTable, lenders: pd.Series) -> pd.Series:
    """Names of the clients; InputError where a record has none.

    Whose budget is spent goes by them. So in private data 007 is 7, whether all other names in the
    column are numbers or one is a word, and blanks around a name are none of it.
    """
    empty = int(lenders.isna().sum())
    if empty and not table.incomplete:
        raise InputError(
            f"{table.path}: column {table.lender!r} is empty in {empty} of {len(lenders)} rows, "
            "and every record needs its client"
        )
    named = labels(lenders)
    return named if table.public else named.map({each: _by_value(each) for each in named.unique()})


def _by_value(name: str) -> str:
    plain = name.strip() or name
    return label(float(plain)) if _NUMBER.fullmatch(plain) else plain


def within_dates(table: LoanTable, frame: pd.DataFrame) -> pd.DataFrame:
    """The records approved in the configured window."""
    if table.approved is None or table.date is None:
        return frame
    first, last = table.approved
    return frame[approval_dates(table, frame).between(first, last)]


def no_record_left(table: LoanTable) -> str:
    """What is wrong where no record was approved when it should have been."""
    return f"{table.path}: no record is left by the configured dates; widen data.approved"


def approval_dates(table: LoanTable, frame: pd.DataFrame) -> pd.Series:
    """Approval dates; InputError where the column holds something else."""
    dates = frame[str(table.date)]
    if not pd.api.types.is_datetime64_any_dtype(dates):
        raise InputError(
            f"{table.path}: column {table.date!r} holds {dates.dtype}, expected dates "
            "written as 2005-12-31 in every row"
        )
    return dates
