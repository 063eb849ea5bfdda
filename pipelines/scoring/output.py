"""Parts become files: the predictions as CSV, gzipped CSV or Parquet, and the rejected rows."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from domains.errors import InputError
from domains.unseen import Counts, summed
from pipelines.scoring import lines
from pipelines.scoring.judged import unlike_in
from pipelines.scoring.pieces import ID, REASON, unseen_in
from pipelines.scoring.workspace import Workspace

Stamp = dict[str, str]
"""Columns that say the same in every row."""

STAMPS = ("model", "version", "data_digest")
KINDS = (".csv", ".csv.gz", ".parquet")
_OUTPUT, _REJECTS = "output", "rejects"
_LEVEL = 4


@dataclass(frozen=True)
class Published:
    """What an output tells of its input.

    Attributes:
        rows, rejected: How many rows, and how many of them have no prediction.
        unseen: Unknown categories by column.
        unlike: Images unlike those that the model has learned from.
    """

    rows: int
    rejected: int
    unseen: Counts
    unlike: int


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
    return output.with_name(output.name + ".rejects.csv")


def publish(work: Workspace, stamp: Stamp) -> Published:
    """Write output and rejects from the parts, and put them under their names; the output last.

    Args:
        work: All parts of the input.
        stamp: Values of `STAMPS`.

    Raises:
        Interrupted: The disk is full; the parts are kept.
    """
    with work.writing(_REJECTS) as listed, work.writing(_OUTPUT) as stream:
        sieve = _Sieve(listed)
        _WRITERS[kind_of(work.output)](sieve.predictions(work.parts()), stamp, stream)
        sieve.close()
    rejects = rejects_of(work.output)
    if sieve.rejected:
        work.publish(_REJECTS, rejects)
    else:
        with suppress(FileNotFoundError):
            rejects.unlink()
    work.publish(_OUTPUT, work.output)
    return Published(sieve.rows, sieve.rejected, summed(sieve.unseen), sieve.unlike)


class _Sieve:
    """Lets parts through without their reasons, which it lists, and counts their rows."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.rows = self.rejected = self.unlike = 0
        self.unseen: list[Counts] = []
        self._text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(["row", ID, REASON])

    def predictions(self, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for part in parts:
            reasons = part.column(REASON).combine_chunks()
            for place in reasons.is_valid().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
                given = part.column(ID)[place].as_py()
                self._writer.writerow([self.rows + place + 1, given, reasons[place].as_py()])
            self.rows += len(reasons)
            self.rejected += len(reasons) - reasons.null_count
            self.unseen.append(unseen_in(part))
            self.unlike += unlike_in(part)
            yield part.drop_columns([REASON]).replace_schema_metadata(None)

    def close(self) -> None:
        """Hand back the stream, which is not its own."""
        self._text.detach()


def _stamped(part: pa.Table, stamp: Stamp) -> pa.Table:
    for name, value in stamp.items():
        part = part.append_column(name, pa.repeat(pa.scalar(value), part.num_rows))
    return part


def _as_csv(parts: Iterator[pa.Table], stamp: Stamp, stream: IO[bytes]) -> None:
    for block in _lines(parts, stamp):
        stream.write(block)


def _as_gzip(parts: Iterator[pa.Table], stamp: Stamp, stream: IO[bytes]) -> None:
    for block in _lines(parts, stamp):
        stream.write(gzip.compress(block, _LEVEL, mtime=0))


def _lines(parts: Iterator[pa.Table], stamp: Stamp) -> Iterator[bytes | memoryview]:
    """A CSV file in blocks of some rows; its header comes first."""
    for number, part in enumerate(parts):
        if not number:
            yield lines.header([*part.column_names, *stamp])
        yield from lines.blocks(part, stamp.values())


def _as_parquet(parts: Iterator[pa.Table], stamp: Stamp, stream: IO[bytes]) -> None:
    writer = None
    for part in parts:
        table = _stamped(part, stamp)
        writer = writer or pq.ParquetWriter(
            stream, table.schema, compression="zstd", use_dictionary=list(stamp)
        )
        writer.write_table(table)
    if writer is not None:
        writer.close()


_WRITERS: dict[str, Callable[[Iterator[pa.Table], Stamp, IO[bytes]], None]] = {
    ".csv": _as_csv,
    ".csv.gz": _as_gzip,
    ".parquet": _as_parquet,
}
