"""Plain delimited text: SUPPORT2, Framingham, NHANES."""

from __future__ import annotations

from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

# How SAS' XPT files write zero; NHANES passes through them.
_SAS_ZERO = 1e-70


def comma_separated(streams: list[IO[bytes]]) -> pa.Table:
    """CSV as it stands; text is trimmed, and an empty field is missing."""
    return _trimmed(_read(streams[0], ","))


def nhanes(streams: list[IO[bytes]]) -> pa.Table:
    """Tab-separated; SAS' denormal zeros (5.4e-79) become 0 and whole-number ids integers."""
    table = _trimmed(_read(streams[0], "\t"))
    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(index)
            tiny = pc.less(pc.abs(column), _SAS_ZERO)
            table = table.set_column(index, field.name, pc.if_else(tiny, 0.0, column))
    person = table.schema.get_field_index("SEQN")
    return table.set_column(person, "SEQN", table.column(person).cast(pa.int64()))


def _read(stream: IO[bytes], delimiter: str) -> pa.Table:
    return csv.read_csv(
        stream,
        # One block: types are then inferred from every row, not from the first megabyte.
        read_options=csv.ReadOptions(block_size=1 << 28),
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(null_values=[""], strings_can_be_null=True),
    )


def _trimmed(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = pc.utf8_trim_whitespace(table.column(index))
            filled = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table = table.set_column(index, field.name, filled)
    return table
