"""A Parquet table that is too large for memory: one column, or some rows, at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from domains.tables import check_columns, column_names, read_table, row_count

_PIECE = 32_768  # rows
MOST_CELLS = 10_000_000
"""Cells of a table up to which it is read at once."""


@dataclass(frozen=True)
class TableFile:
    """What a `pandas.DataFrame` of the file would hold, each column read when it is asked for.

    Attributes:
        path: Parquet file.
        columns: Names, in file order.
        rows: Places of the records in the file, ascending; None: all of them.
    """

    path: Path
    columns: tuple[str, ...]
    rows: np.ndarray | None = None
    _types: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return row_count(self.path) if self.rows is None else len(self.rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> pd.Series:
        """One column; see `domains.tables.read_table` for its type and for what it raises."""
        column = read_table(self.path, [name])[name]
        self._types[name] = column.dtype
        return column if self.rows is None else column.iloc[self.rows].reset_index(drop=True)

    @property
    def dtypes(self) -> pd.Series:
        """Type of each column in memory; reads those that were not read yet."""
        for name in self.columns:
            if name not in self._types:
                self[name]
        return pd.Series({name: self._types[name] for name in self.columns}, dtype=object)

    def drop(self, columns: Collection[str]) -> TableFile:
        """The same without some columns."""
        return replace(self, columns=tuple(name for name in self.columns if name not in columns))

    def take(self, rows: np.ndarray) -> TableFile:
        """Some of the records, by ascending position or bool mask."""
        places = np.arange(len(self)) if self.rows is None else self.rows
        return replace(self, rows=places[rows])

    def pieces(self) -> Iterator[pa.Table]:
        """Rows as they stand in the file, so many at a time; those that were not taken are not in.

        Raises:
            InputError: See `domains.tables.read_table`.
        """
        names, start = list(self.columns), 0
        with pq.ParquetFile(self.path) as file:
            groups = range(file.num_row_groups)  # one by one: more are read ahead
            batches = (file.iter_batches(_PIECE, [group], names) for group in groups)
            for batch in chain.from_iterable(batches):
                piece = check_columns(pa.Table.from_batches([batch]).select(names), self.path)
                if self.rows is not None:
                    first, last = np.searchsorted(self.rows, [start, start + len(batch)])
                    piece = piece.take(self.rows[first:last] - start)
                start += len(batch)
                yield piece


Records = pd.DataFrame | TableFile
"""Records in memory or on disk; both are asked for a column by its name."""


def in_memory(table: Records) -> pd.DataFrame:
    """All of a table's columns, of all its records."""
    return table if isinstance(table, pd.DataFrame) else read_table(table.path, table.columns)


def open_table(path: Path) -> Records:
    """The table in a file: at once, or where it is Parquet and large a column at a time.

    Raises:
        InputError: See `domains.tables.read_table`.
    """
    if path.suffix.lower() != ".parquet":
        return read_table(path)
    names, rows = column_names(path), row_count(path)
    if not rows or rows * len(names) <= MOST_CELLS:
        return read_table(path)
    return TableFile(path, tuple(names))
