"""A user's own tables: CSV (plain or gzipped) and Parquet.

Whatever is wrong with a file is one line that names the file, and the row and column where there
is one; a field's content is never repeated. Rows count from 1, the header not counted.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from domains.errors import InputError

# What counts as an empty field in a CSV file.
MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null"]
_KINDS = (".csv", ".csv.gz", ".parquet")
# Arrow cannot take a larger block; types are inferred from the first one.
_LARGEST_BLOCK = 2**31 - 1
_LONGEST_HEADER = 1 << 20


def read_table(
    path: Path | str, columns: Sequence[str] | None = None, as_text: Collection[str] = ()
) -> pd.DataFrame:
    """The table in `path`, or some of its columns in the order asked for.

    Numbers come as int64 or float64, text as text, ISO dates as datetime64; an empty field
    (`MISSING`) is missing, and so is a column without any value (float64).

    Args:
        path: CSV or Parquet file.
        columns: Which columns; None: all of them.
        as_text: Columns of a CSV file whose fields come as they are spelled, since a type that is
            found for a whole column depends on each of its fields. Parquet says its types itself.

    Raises:
        InputError: The file is missing, empty, truncated, not UTF-8 or of an unknown kind; its
            rows differ in length, a column is missing or stands twice, or a number is infinite.
    """
    path = Path(path)
    table = _read(path, columns, as_text)
    if not table.num_rows:
        raise InputError(f"{path}: holds no rows, expected a header and at least one record")
    return cast(pd.DataFrame, check_columns(table, path).to_pandas(ignore_metadata=True))


def row_count(path: Path | str) -> int:
    """Number of records; reads no column's values but, in a CSV file, the first one's."""
    path = Path(path)
    if _kind(path) == ".parquet":
        with _parquet(path) as file:
            return int(file.metadata.num_rows)
    content = _bytes(path)
    first = _distinct(_header(content, path), path)[:1]
    return int(_read_csv(content, first, path).num_rows)


def column_names(path: Path | str) -> list[str]:
    """Names of the columns, in file order (same errors)."""
    path = Path(path)
    if _kind(path) == ".parquet":
        with _parquet(path) as file:
            return _distinct(list(file.schema_arrow.names), path)
    return _distinct(_header(_bytes(path, _LONGEST_HEADER), path), path)


def check_filled(frame: pd.DataFrame, names: Sequence[str], path: Path | str) -> None:
    """Raise InputError when one of the named columns holds no value at all."""
    for name in names:
        if frame[name].isna().all():
            raise InputError(
                f"{path}: column {name!r} holds no value in any of {len(frame)} rows; "
                "fill it or leave it out of the configuration"
            )


def _kind(path: Path) -> str:
    """Suffix that says how to read the file, once it is known to be a file with content."""
    kind = next((kind for kind in _KINDS if path.name.lower().endswith(kind)), None)
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of table {path.suffix!r}, expected {', '.join(_KINDS)}"
        )
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {found}, expected a table ({', '.join(_KINDS)})")
    if not path.stat().st_size:
        raise InputError(f"{path}: the file is empty, expected a header and records")
    return kind


def _read(path: Path, columns: Sequence[str] | None, as_text: Collection[str]) -> pa.Table:
    if _kind(path) != ".parquet":
        content = _bytes(path)
        names = _distinct(_header(content, path), path)
        return _read_csv(content, _chosen(names, columns, path), path, as_text)
    with _parquet(path) as file:
        names = _distinct(list(file.schema_arrow.names), path)
        wanted = _chosen(names, columns, path)
        try:
            return file.read(columns=wanted).select(wanted)
        except (pa.ArrowException, OSError) as error:
            raise InputError(_damaged(path, "Parquet")) from error


def _distinct(names: list[str], path: Path) -> list[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        # Not by name: without a header the first line is a record.
        places = [str(place) for place, name in enumerate(names, 1) if name == twice[0]]
        listed = f"{', '.join(places[:-1])} and {places[-1]}"
        raise InputError(
            f"{path}: columns {listed} have one name in the first line; rename one, or put a "
            "header there if it is a record"
        )
    return names


def _chosen(names: list[str], columns: Sequence[str] | None, path: Path) -> list[str]:
    wanted = names if columns is None else list(dict.fromkeys(columns))
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(f"{path}: no column {missing[0]!r}; the file has {shown(names)}")
    return wanted


def shown(names: list[str]) -> str:
    """A header in a few words, unless it looks like a record: a field is empty or a number."""
    if not all(_is_name(name) for name in names):
        return f"{len(names)} columns, and its first line does not look like a header"
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def _is_name(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return bool(text.strip())
    return False


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(_damaged(path, "Parquet")) from error


def _damaged(path: Path, kind: str) -> str:
    return f"{path}: not a whole {kind} file (truncated or damaged); copy or export it again"


def _bytes(path: Path, most: int = -1) -> bytes:
    """Content of a CSV file, unpacked; all of it, or so many bytes."""
    try:
        packed = _kind(path) == ".csv.gz"
        with gzip.open(path) if packed else path.open("rb") as stream:
            return stream.read(most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(_damaged(path, "gzip")) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _header(content: bytes, path: Path) -> list[str]:
    """Column names: the first line of a CSV file."""
    line = content.lstrip(b"\r\n").split(b"\n", 1)[0]
    if not line.strip():
        raise InputError(f"{path}: the file is empty, expected a header and records")
    try:
        return list(csv.read_csv(pa.BufferReader(line + b"\n")).column_names)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the first line is no CSV header in UTF-8") from error


def _read_csv(
    content: bytes, columns: list[str], path: Path, as_text: Collection[str] = ()
) -> pa.Table:
    torn: list[csv.InvalidRow] = []

    def remember(row: csv.InvalidRow) -> str:
        torn.append(row)
        return "skip"

    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            # One block and one thread: types are inferred from every row, and rows are numbered.
            read_options=csv.ReadOptions(
                use_threads=False, block_size=min(len(content) + 1, _LARGEST_BLOCK)
            ),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=remember),
            convert_options=csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(as_text, pa.string()),
                null_values=MISSING,
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        # Arrow's message quotes the record: it goes no further.
        raise InputError(f"{path}: cannot be read as comma-separated values in UTF-8") from None
    if torn:
        row = torn[0]
        raise InputError(
            f"{path}: row {row.number - 1} has {row.actual_columns} fields, expected "
            f"{row.expected_columns} as in the header; the file may be truncated"
        )
    return table


def check_columns(table: pa.Table, path: Path) -> pa.Table:
    """The table in native types, checked for what no column may hold.

    Raises:
        InputError: A column holds nested values, text that is not UTF-8 or an infinite number.
    """
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_binary(field.type):
            raise InputError(f"{path}: column {field.name!r} holds text that is not UTF-8")
        if pa.types.is_nested(field.type):
            raise InputError(
                f"{path}: column {field.name!r} holds {field.type}, expected plain values"
            )
        if pa.types.is_floating(field.type):
            _refuse_infinite(column, field.name, path)
    return native(table)


def native(table: pa.Table) -> pa.Table:
    """The table in types that pandas holds natively: decimals as numbers, dates as timestamps."""
    for index, field in enumerate(table.schema):
        if pa.types.is_null(field.type) or pa.types.is_decimal(field.type):
            kind = pa.float64()
        elif pa.types.is_date(field.type):
            kind = pa.timestamp("ms")
        else:
            continue
        table = table.set_column(index, field.name, table.column(index).cast(kind))
    return table


def _refuse_infinite(column: pa.ChunkedArray, name: str, path: Path) -> None:
    infinite = np.flatnonzero(pc.fill_null(pc.is_inf(column), False).to_numpy())
    if len(infinite):
        raise InputError(
            f"{path}: row {infinite[0] + 1}, column {name!r}: infinite value "
            f"({len(infinite)} in this column); leave the field empty if the value is unknown"
        )
