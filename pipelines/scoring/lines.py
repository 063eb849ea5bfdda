"""A part of an output as lines of CSV, whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.scoring.pieces import ID

_SPECIAL = '[",\r\n]'
_ROWS = 2048  # what is made of so many stays in a core's cache


def header(names: Iterable[str]) -> bytes:
    """Names of columns as the first line."""
    cells = pa.array([name.encode() for name in names], pa.binary())
    return b",".join(_quoted(cells).to_pylist()) + b"\n"


def blocks(part: pa.Table, ending: Iterable[str]) -> Iterator[memoryview]:
    """All rows of a part in order, each with the same last cells.

    A number is spelled with as many digits as tell it from every other one; a cell is put between
    quotes only where it must be. What is null is empty.

    Args:
        part: Ids, predictions (float64) and texts.
        ending: Cells that follow in every row.
    """
    last = pa.scalar(header(ending), pa.binary())
    for start in range(0, part.num_rows, _ROWS):
        yield _block(part.slice(start, _ROWS), last)


def _block(part: pa.Table, last: pa.Scalar) -> memoryview:
    columns: list[pa.Array] = []
    for numeric, group in groupby(part.column_names, lambda name: _is_prediction(part, name)):
        given = [part.column(name).combine_chunks() for name in group]
        columns += _predictions(given) if numeric else [_cells(column) for column in given]
    joined = pc.binary_join_element_wise(
        *columns, last, pa.scalar(b",", pa.binary()), null_handling="replace", null_replacement=""
    )
    ends = np.frombuffer(joined.buffers()[1], dtype=np.int32)
    return memoryview(joined.buffers()[2])[: ends[len(joined)]]


def _is_prediction(part: pa.Table, name: str) -> bool:
    return name != ID and pa.types.is_float64(part.schema.field(name).type)


def _predictions(columns: list[pa.Array]) -> list[pa.Array]:
    """Numbers of neighbouring columns, spelled and joined row by row."""
    values = np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])
    if np.isinf(values).any():  # JSON has no word for it
        return [_cells(column) for column in columns]
    rows = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2]
    return [pa.array(rows.replace(b"null", b"").split(b"],["), pa.binary())]


def _cells(column: pa.Array) -> pa.Array:
    """Cells of one column as bytes."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_string(column.type) and not pa.types.is_binary(column.type):
        text = pa.binary() if pa.types.is_large_binary(column.type) else pa.string()
        return _quoted(column.cast(text).cast(pa.binary()))
    return _quoted(column.cast(pa.binary()))


def _quoted(cells: pa.Array) -> pa.Array:
    """The same cells, between quotes where a comma, a quote or a line break stands in them."""
    special = pc.match_substring_regex(cells, _SPECIAL)
    if not pc.any(special).as_py():
        return cells
    quote, nothing = pa.scalar(b'"', pa.binary()), pa.scalar(b"", pa.binary())
    doubled = pc.replace_substring(cells, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise(quote, doubled, quote, nothing), cells)
