"""CSV and Parquet as pieces: read as a stream, one thread, memory constant in the file's size.

Every column of a CSV file is read as text, so that one bad cell costs its row and not the file; a
row with a wrong number of fields costs itself too. Blank lines are no rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from domains.dataset import digest_file
from domains.errors import InputError
from domains.tables import MISSING, column_names, native
from models.intake import Accepted, Field, accept, need
from pipelines.scoring import spans
from pipelines.scoring.pieces import Piece
from pipelines.scoring.spans import Cell, Counted
from pipelines.scoring.swallowed import line_of, torn_rows

_BLOCK = 1 << 20  # what is parsed stays in a core's cache; no record is longer
_BUFFER = 1 << 20
_MOST_TORN = 1_000_000
_LOOKED_UP = 1000  # swallowed rows whose lines are looked up: each costs a look at the file
_SHOWN = 12

Torn = deque[tuple[int, str]]
"""Numbers, from 1, and reasons of rows with a wrong number of fields, ascending."""


class TableSource:
    """A table on disk.

    Args:
        path: CSV, gzipped CSV or Parquet.
        fields: Columns the scorer needs.
        id_column: Column of the ids; None for row numbers from 1.
        rows: Acceptable or not, so many well-formed rows make a piece.
        model: Its name, for what is said of the table.

    Raises:
        InputError: The file is missing, empty, of an unknown kind, or lacks a column.
    """

    def __init__(
        self, path: Path, fields: Sequence[Field], id_column: str | None, rows: int, model: str
    ) -> None:
        names = column_names(path)
        need(names, fields, str(path))
        if id_column is not None and id_column not in names:
            raise InputError(f"{path}: no column {id_column!r} to take ids from")
        self._path, self._fields, self._id, self._rows = path, fields, id_column, rows
        self._names, self._model = names, model
        self._typed = path.name.lower().endswith(".parquet")
        self._unfolded = self._looked_up = 0
        self._spans = False

    def digest(self, key: bytes) -> str:
        """Keyed digest of the file."""
        return digest_file(self._path, key)

    def names(self) -> str:
        """The column of the ids."""
        return f"column {self._id}" if self._id else "row numbers"

    def pieces(self, skip: int = 0) -> Iterator[Piece]:
        """See `pipelines.scoring.pieces.Source`."""
        columns = [field.name for field in self._fields]
        columns += [self._id] if self._id and self._id not in columns else []
        torn: Torn = deque()
        number, first = 0, 1
        counted: list[Counted] = []
        for table in merged(stream(self._path, columns, torn, counted), self._rows, torn):
            placed = _placed(table.num_rows, first, torn)
            piece = self._piece(table, *placed, first)
            if number >= skip:
                yield piece
            number, first = number + 1, first + placed[2]
        if not number:
            raise InputError(f"{self._path}: holds no rows, expected a header and records")
        self._spans = any(each.lines > first for each in counted)

    def remarks(self) -> list[str]:
        """Columns that are not used, and rows that span several lines."""
        used = {field.name for field in self._fields} | {self._id}
        unused = [name for name in self._names if name not in used]
        said = [f"{_columns(unused)} not used by {self._model}"] if unused else []
        return said + (spans.said(self._path, len(self._names)) if self._spans else [])

    def _piece(
        self, table: pa.Table, places: np.ndarray, reasons: dict[int, str], rows: int, first: int
    ) -> Piece:
        table = _coded(table, self._fields)
        accepted = self._accepted(table)
        kept, frame = accepted.kept, accepted.frame
        reasons |= {int(places[row]): reason for row, reason in accepted.reasons.items()}
        broken = {} if self._typed else spans.cells(table, self._fields, accepted.reasons)
        first += self._unfolded
        if broken:
            whole = ~np.isin(kept, list(broken))
            kept, frame = kept[whole], frame[whole].reset_index(drop=True)
            found = {int(places[row]): cell for row, cell in broken.items()}
            before, (moved, rows, reasons) = rows, self._unfold(found, rows, reasons)
            places, self._unfolded = moved[places], self._unfolded + rows - before
        if self._id is None:
            ids = pa.array(np.arange(first, first + rows))
        else:
            ids = _spread(table.column(self._id), places, rows)
        return Piece(ids, frame, places[kept], reasons)

    def _unfold(
        self, broken: dict[int, Cell], rows: int, reasons: dict[int, str]
    ) -> tuple[np.ndarray, int, dict[int, str]]:
        """New positions of a piece's rows, how many there are now, and the reasons by position."""
        moved, count = spans.unfolded(rows, {row: cell.lines for row, cell in broken.items()})
        unfolded = {int(moved[row]): reason for row, reason in reasons.items()}
        for row, cell in broken.items():
            reason = self._why_broken(cell)
            unfolded |= dict.fromkeys(range(moved[row], moved[row] + cell.lines), reason)
        return moved, count, unfolded

    def _why_broken(self, cell: Cell) -> str:
        lines = len(cell.text.splitlines())
        self._looked_up += 1
        known = self._looked_up <= _LOOKED_UP
        first = line_of(self._path, cell.quoted) if known else None
        where = f"{lines} lines" if first is None else f"lines {first} to {first + lines - 1}"
        return (
            f"column {cell.column!r}: a quote makes one cell of {where}, expected one line; close "
            "it, or write it twice"
        )

    def _accepted(self, table: pa.Table) -> Accepted:
        raw: pd.DataFrame = native(table).to_pandas(ignore_metadata=True)
        return accept(raw, self._fields, str(self._path))


def _columns(names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"column {shown} is" if len(names) == 1 else f"columns {shown}{more} are"


def _coded(table: pa.Table, fields: Sequence[Field]) -> pa.Table:
    """Categories as codes, so that whatever follows looks at each value once."""
    for field in fields:
        column = table.column(field.name)
        if field.kind == "text" and pa.types.is_string(column.type):
            place = table.column_names.index(field.name)
            table = table.set_column(place, field.name, column.dictionary_encode())
    return table


def stream(
    path: Path, columns: list[str], torn: Torn, counted: list[Counted] | None = None
) -> Iterator[pa.Table]:
    """Some columns of a file, a table at a time, as long as its rows happen to come.

    Args:
        path: The file.
        columns: Which ones; text in a CSV file, typed in a Parquet file.
        torn: Receives the rows that are none, before the table that holds what follows them.
        counted: Receives what counts the lines of a CSV file.
    """
    typed = path.name.lower().endswith(".parquet")
    counted = [] if counted is None else counted
    batches = _parquet(path, columns) if typed else _csv(path, columns, torn, counted)
    try:
        for batch in batches:
            if len(torn) > _MOST_TORN:
                raise InputError(
                    f"{path}: more than {_MOST_TORN:,} rows in a row have another number of "
                    f"fields than the header; {torn[0][1]}"
                )
            yield pa.Table.from_batches([batch])
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        # Arrow's message may quote the record: it goes no further.
        raise InputError(f"{path}: {_why(error)}") from None


def _parquet(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    # Arrow would otherwise hold all that it read ahead of every row group.
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER) as file:
        yield from file.iter_batches(batch_size=1 << 15, columns=columns, use_threads=False)


def _csv(
    path: Path, columns: list[str], torn: Torn, counted: list[Counted]
) -> Iterator[pa.RecordBatch]:
    packed = "gzip" if path.name.lower().endswith(".gz") else None
    with pa.input_stream(str(path), compression=packed, buffer_size=_BUFFER) as content:
        counted.append(Counted(content))
        reader = csv.open_csv(
            counted[-1],
            read_options=csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=csv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=_remember(path, torn)
            ),
            convert_options=csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=MISSING,
                strings_can_be_null=True,
            ),
        )
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)  # all rows may be torn
        yield from reader


def _remember(path: Path, torn: Torn) -> Callable[[csv.InvalidRow], str]:
    swallowed = 0  # rows that the reader took for a part of another one

    def handler(row: csv.InvalidRow) -> str:
        nonlocal swallowed
        first = row.number - 1 + swallowed  # Arrow counts the header
        reasons = torn_rows(path if swallowed < _LOOKED_UP else None, row)
        torn.extend(enumerate(reasons, first))
        swallowed += len(reasons) - 1
        return "skip"

    return handler


def _why(error: Exception) -> str:
    text = str(error)
    if "UTF8" in text or isinstance(error, UnicodeDecodeError):
        return "holds text that is not UTF-8; export it again as UTF-8"
    if "straddl" in text:
        return f"a record is longer than {_BLOCK >> 20} MB; is a quote not closed?"
    if isinstance(error, PermissionError):
        return "cannot be read (permission denied)"
    return "truncated or damaged; copy or export it again"


def merged(tables: Iterator[pa.Table], rows: int, torn: Torn) -> Iterator[pa.Table]:
    """The same rows in tables of equal length; the last one is shorter.

    It may even be empty, where only torn rows are left.
    """
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        held.append(table)
        count += table.num_rows
        while count >= rows:
            whole = pa.concat_tables(held)
            yield whole.slice(0, rows).combine_chunks()
            held, count = [whole.slice(rows)], count - rows
    if count:
        yield pa.concat_tables(held).combine_chunks()
    if torn:
        yield held[0].slice(0, 0)


def _placed(parsed: int, first: int, torn: Torn) -> tuple[np.ndarray, dict[int, str], int]:
    """Where a piece's well-formed rows stand among the torn ones, which are taken from `torn`.

    Returns:
        Positions of the well-formed rows, reasons by position of the torn ones, rows in all.
    """
    reasons: dict[int, str] = {}
    end = first + parsed
    while torn and (torn[0][0] < end or not parsed):
        number, reason = torn.popleft()
        reasons[number - first] = reason
        end += 1
    rows = end - first
    places = np.delete(np.arange(rows), list(reasons)) if reasons else np.arange(rows)
    return places, reasons, rows


def _spread(values: pa.ChunkedArray, places: np.ndarray, rows: int) -> pa.Array:
    """Ids at their rows' places, null at the torn ones."""
    ids: Any = values.combine_chunks()
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    if len(ids) == rows:
        return ids
    order = np.full(rows, -1)
    order[places] = np.arange(len(places))
    return ids.take(pa.array(order, mask=order < 0))
