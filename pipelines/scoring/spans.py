"""Rows that span several lines of a CSV file: legal, and what two stray quotes in one column make.

A line break between quotes belongs to its cell, so such a row is read as one. Where the cell is one
that the model reads, a number or one of a list of categories, a line break in it is a mistake, and
each of its lines, which was a row to whoever wrote the file, is rejected. Of others it is said.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.intake import Field

_BREAK, _QUOTE, _COMMA = ord("\n"), b'"', b","


class Counted(io.RawIOBase):
    """A stream that counts the lines that are read from it.

    Args:
        stream: Of bytes.
    """

    def __init__(self, stream: pa.NativeFile) -> None:
        super().__init__()
        self._stream, self._breaks, self._last = stream, 0, _BREAK

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes."""
        content: bytes = self._stream.read(None if size == -1 else size)
        if content:
            # quicker than bytes.count where lines are short
            self._breaks += int(np.count_nonzero(np.frombuffer(content, np.uint8) == _BREAK))
            self._last = content[-1]
        return content

    @property
    def lines(self) -> int:
        """So far, the last one even without its line break."""
        return self._breaks + (self._last != _BREAK)


@dataclass(frozen=True)
class Cell:
    """A cell of several lines.

    Attributes:
        column: Where it stands.
        text: What it holds; it goes no further.
    """

    column: str
    text: str

    @property
    def quoted(self) -> bytes:
        """As the file spells it."""
        return b'"' + self.text.replace('"', '""').encode() + b'"'

    @property
    def lines(self) -> int:
        """Lines that are not blank: blank ones are no rows."""
        return max(sum(bool(line) for line in self.text.splitlines()), 1)


def cells(table: pa.Table, fields: Sequence[Field], rejected: Collection[int]) -> dict[int, Cell]:
    """Cells of several lines, by row, where the model expects one line.

    Args:
        table: Cells as text, categories dictionary-encoded.
        fields: What the scorer needs.
        rejected: Rows that cannot be scored: only there can a number be none.
    """
    found: dict[int, Cell] = {}
    for field in fields:
        if field.lines or (field.kind == "number" and not rejected):
            continue
        column = table.column(field.name).combine_chunks()
        for row in _broken(column).tolist():
            if field.kind == "text" or row in rejected:
                found.setdefault(row, Cell(field.name, column[row].as_py()))
    return found


def _broken(column: pa.Array) -> np.ndarray:
    """Rows whose text holds a line break."""
    if not pa.types.is_dictionary(column.type):
        return _true(pc.match_substring(column, "\n"))
    values = _true(pc.match_substring(column.dictionary, "\n"))
    if not len(values):
        return values
    return _true(pc.is_in(column.indices, pa.array(values, column.indices.type)))


def _true(found: pa.Array) -> np.ndarray:
    return np.flatnonzero(pc.fill_null(found, False).to_numpy(zero_copy_only=False))


def unfolded(rows: int, lines: Mapping[int, int]) -> tuple[np.ndarray, int]:
    """Where the rows of a piece stand when some of them count as several.

    Args:
        rows: How many.
        lines: Row → as how many it counts.

    Returns:
        New position of each row, (rows,), of the first of its lines; and rows in all.

    >>> unfolded(3, {1: 4})
    (array([0, 1, 5]), 6)
    """
    lengths = np.ones(rows, dtype=np.int64)
    lengths[list(lines)] = list(lines.values())
    ends = np.cumsum(lengths)
    return ends - lengths, int(ends[-1]) if rows else 0


def said(path: Path, columns: int) -> list[str]:
    """A line on the rows of a file that span several lines; none where none does.

    Args:
        path: CSV, plain or gzipped.
        columns: Of its header. Rows of another number of fields are told of elsewhere.
    """
    spans = list(_spans(path, columns))
    if not spans:
        return []
    first, last = spans[0]
    many = f"{len(spans):,} rows span" if len(spans) > 1 else "1 row spans"
    return [f"{many} several lines (first: lines {first} to {last}); is a quote left open?"]


def _spans(path: Path, columns: int) -> Iterator[tuple[int, int]]:
    """First and last line of every such row."""
    within, first, commas = False, 1, 0
    with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as content:
        for number, line in enumerate(content, 1):
            if not within:
                first, commas = number, 0
            if _QUOTE not in line and (within or first == number):
                continue
            more, within = _scanned(line, within)
            commas += more
            if not within and number > first and commas == columns - 1:
                yield first, number


def _scanned(line: bytes, within: bool) -> tuple[int, bool]:
    """Commas between cells, and whether a quote is open at the end of a line.

    As Arrow reads it: a quote opens a cell only at its beginning, and two of them are one within.
    """
    commas, place, begins = 0, 0, not within
    while True:
        if begins and line.startswith(_QUOTE, place):
            within, place = True, place + 1
        if within:
            place = _closed(line, place)
            if place < 0:
                return commas, True
            within = False
        place = line.find(_COMMA, place) + 1
        if not place:
            return commas, False
        commas, begins = commas + 1, True


def _closed(line: bytes, place: int) -> int:
    """Place after the quote that closes a cell; −1 where none does."""
    while (place := line.find(_QUOTE, place)) >= 0:
        if not line.startswith(_QUOTE, place + 1):
            return place + 1
        place += 2
    return -1
