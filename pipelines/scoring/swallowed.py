"""Rows that a CSV reader refused, told as what they are: torn, or swallowed by an open quote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

_CHUNK = 1 << 20


def torn_rows(path: Path | None, row: csv.InvalidRow) -> list[str]:
    """Why a row is none: one reason for each row of the file that it stands for, at least one.

    A quote that is not closed makes one row of all lines up to the next quote, or to the end of
    the file. Each of them was a row to whoever wrote the file, so each is rejected. A cell that
    holds line breaks by right stays one row.

    Args:
        path: The file, plain or gzipped, to find the lines in; None to tell only how many.
        row: What the reader found; its text goes no further.
    """
    found = f"{row.actual_columns} fields, expected {row.expected_columns} as in the header"
    text = row.text or ""
    lines = text.splitlines()
    if not any(line.count(",") == row.expected_columns - 1 for line in lines[1:]):
        return [found]
    first = None if path is None else line_of(path, text.encode())
    where = f"{len(lines)} lines" if first is None else f"lines {first} to {first + len(lines) - 1}"
    reason = f"an open quote makes one row of {where} ({found}); close it, or write it twice"
    return [reason] * sum(bool(line) for line in lines)


def line_of(path: Path, text: bytes) -> int | None:
    """Number of the line at which a text begins; None where it is not found as it stands."""
    lines, held = 1, b""
    for chunk in _chunks(path):
        held += chunk
        place = held.find(text)
        if place >= 0:
            return lines + held.count(b"\n", 0, place)
        done = max(len(held) - len(text), 0)
        lines, held = lines + held.count(b"\n", 0, done), held[done:]
    return None


def _chunks(path: Path) -> Iterator[bytes]:
    packed = "gzip" if path.name.lower().endswith(".gz") else None
    with pa.input_stream(str(path), compression=packed) as content:
        while chunk := content.read(_CHUNK):
            yield chunk
