"""Parts become files: the predictions as CSV, gzipped CSV or Parquet, and the rejected rows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from domains.errors import InputError
from pipelines.scoring.pieces import ID, REASON
from pipelines.scoring.workspace import Workspace

Stamp = dict[str, str]
"""Columns that say the same in every row."""

STAMPS = ("model", "version", "data_digest")
KINDS = (".csv", ".csv.gz", ".parquet")
_OUTPUT, _REJECTS = "output", "rejects"
_LEVEL = 4


def kind_of(output: Path) -> str:
    """Suffix of an output file.

    Raises:
        InputError: It is none of `KINDS`.
    """
    kind = next((kind for kind in KINDS if output.name.lower().endswith(kind)), None)
    if kind is None or output.name.lower() == kind:
        raise InputError(f"{output}: unknown kind of output, expected a name in {', '.join(KINDS)}")
    return kind


def rejects_of(output: Path) -> Path:
    """Where the rejected rows of an output are listed."""
    return output.with_name(output.name[: -len(kind_of(output))] + ".rejects.csv")


def publish(work: Workspace, stamp: Stamp) -> tuple[int, int]:
    """Write output and rejects from the parts, and put them under their names; the output last.

    Args:
        work: All parts of the input.
        stamp: Values of `STAMPS`.

    Returns:
        Number of rows, and of rejected ones among them.

    Raises:
        Interrupted: The disk is full; the parts are kept.
    """
    rows, rejected = _write_rejects(work)
    with work.writing(_OUTPUT) as stream:
        _WRITERS[kind_of(work.output)](work, stamp, stream)
    rejects = rejects_of(work.output)
    if rejected:
        work.publish(_REJECTS, rejects)
    else:
        with suppress(FileNotFoundError):
            rejects.unlink()
    work.publish(_OUTPUT, work.output)
    return rows, rejected


def _write_rejects(work: Workspace) -> tuple[int, int]:
    rows = rejected = 0
    with work.writing(_REJECTS) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["row", ID, REASON])
        for part in work.parts():
            reasons = part.column(REASON).combine_chunks()
            for place in reasons.is_valid().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
                given = part.column(ID)[place].as_py()
                writer.writerow([rows + place + 1, given, reasons[place].as_py()])
            rows += len(reasons)
            rejected += len(reasons) - reasons.null_count
        text.detach()
    return rows, rejected


def _stamped(part: pa.Table, stamp: Stamp) -> pa.Table:
    for name, value in stamp.items():
        part = part.append_column(name, pa.repeat(pa.scalar(value), part.num_rows))
    return part


def _predictions(work: Workspace) -> Iterator[pa.Table]:
    return (part.drop_columns([REASON]) for part in work.parts())


def _as_csv(work: Workspace, stamp: Stamp, stream: IO[bytes]) -> None:
    for block in _lines(work, stamp):
        stream.write(block)


def _as_gzip(work: Workspace, stamp: Stamp, stream: IO[bytes]) -> None:
    for block in _lines(work, stamp):
        stream.write(gzip.compress(block, _LEVEL, mtime=0))


def _lines(work: Workspace, stamp: Stamp) -> Iterator[bytes]:
    """A CSV file in blocks, one a part; its header comes first."""
    yield _csv_line([*next(_predictions(work)).column_names, *stamp])
    ending = b"," + _csv_line(list(stamp.values()))
    for part in _predictions(work):
        try:
            # Without quotes no line breaks stand in cells: the stamp is put before each.
            yield _block(part, "none").replace(b"\n", ending)
        except pa.ArrowInvalid:  # an id holds a comma, a quote or a line break
            yield _block(_stamped(part, stamp), "needed")


def _csv_line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _block(table: pa.Table, quoting: str) -> bytes:
    sink = pa.BufferOutputStream()
    options = arrow_csv.WriteOptions(include_header=False, quoting_style=quoting)
    arrow_csv.write_csv(table, sink, options)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _as_parquet(work: Workspace, stamp: Stamp, stream: IO[bytes]) -> None:
    writer = None
    for part in _predictions(work):
        table = _stamped(part, stamp)
        writer = writer or pq.ParquetWriter(
            stream, table.schema, compression="zstd", use_dictionary=list(stamp)
        )
        writer.write_table(table)
    if writer is not None:
        writer.close()


_WRITERS: dict[str, Callable[[Workspace, Stamp, IO[bytes]], None]] = {
    ".csv": _as_csv,
    ".csv.gz": _as_gzip,
    ".parquet": _as_parquet,
}
