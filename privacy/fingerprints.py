"""Keyed fingerprints of rows: the same records are recognised under another name.

Eight bytes a row. Two different rows collide with a probability of about 2⁻⁶⁴, and without the key
nobody can test whether a given record is among them.

A fingerprint is of all of the row's values and of nothing else: whatever file the row comes in,
with whatever other rows, in whatever order of rows and columns and under whatever names of these.
So a bank's rows, a year's or any other part of a file are known again. What is changed is not: a
row with one value altered, rounded or rescaled, or with a column more or less, is another row. The
column that names the owners is such a column: rows are fingerprinted with it and without, so that
other names for the owners hide nothing.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from domains.tables import MISSING

Prints = NDArray[np.uint64]
Records = tuple[Prints, ...]
"""An owner's records, fingerprinted in one or two ways; each ascending, a record as often as it
stands in the file."""

_BYTES = 8
_MIDNIGHT = " 00:00:00"
_TRUTH = {"true": "1.0", "false": "0.0"}


def row_fingerprints(frame: pd.DataFrame, key: bytes) -> Prints:
    """A keyed digest of each row's values, (rows,); 0 for a row without any.

    Values are compared as text, and numbers by value: 1, 1.0 and "1" are one, so that the same
    table read from CSV and from Parquet agrees. Empty fields do not count.

    Args:
        frame: the columns that came with the file, none of them computed.
        key: the home's secret, at most 64 bytes.
    """
    return _rows(_cells(frame, key), key)


def owner_fingerprints(
    frame: pd.DataFrame, key: bytes, column: str, names: pd.Series
) -> Mapping[str, Records]:
    """Fingerprints of each owner's rows: with the column that names the owners, and without it.

    Args:
        frame, key: see `row_fingerprints`.
        column: names the owners.
        names: the owner of each row, (rows,); rows without one are nobody's.
    """
    cells = _cells(frame, key)
    without = np.delete(cells, list(frame.columns).index(column), axis=1)
    ways = [_rows(cells, key), _rows(without, key)]
    places = names.reset_index(drop=True).groupby(names.to_numpy()).indices
    return {str(name): records(*(way[rows] for way in ways)) for name, rows in places.items()}


def records(*ways: Prints) -> Records:
    """One owner's fingerprints, made in different ways; a way that tells nothing more is left."""
    found = [np.sort(way[way != 0]) for way in ways]
    return tuple(
        way
        for place, way in enumerate(found)
        if not any(np.array_equal(way, other) for other in found[:place])
    )


def _cells(frame: pd.DataFrame, key: bytes) -> Prints:
    """A keyed digest of every field, (rows, columns); 0 for an empty one."""
    cells = np.zeros(frame.shape, dtype="<u8")
    for place in range(frame.shape[1]):
        cells[:, place] = _fields(frame.iloc[:, place], key)
    return cells


def _rows(cells: Prints, key: bytes) -> Prints:
    """A keyed digest of each row's fields, (rows,), whatever their order; empty ones do not
    count."""
    rows, columns = cells.shape
    empty = (cells == 0).sum(axis=1)  # once they are sorted, these come first
    ends = np.arange(1, rows + 1) * columns * _BYTES
    starts = ends - (columns - empty) * _BYTES
    held = memoryview(np.sort(cells, axis=1).tobytes())
    spans = zip(starts.tolist(), ends.tolist(), strict=True)
    prints = _digests((held[start:end] for start, end in spans), key, b"row")
    return np.where(empty < columns, prints, np.uint64(0))


def _fields(column: pd.Series, key: bytes) -> Prints:
    """A keyed digest of each of a column's fields, (rows,). Each value is looked at once."""
    codes, values = pd.factorize(column)
    texts = [_plain(value) for value in values.tolist()]
    digests = _digests((text.encode() for text in texts), key, b"value")
    filled = np.fromiter(map(bool, texts), dtype=bool, count=len(texts))
    return np.append(np.where(filled, digests, np.uint64(0)), np.uint64(0))[codes]


def _digests(parts: Iterable[bytes | memoryview], key: bytes, kind: bytes) -> Prints:
    made = (
        hashlib.blake2b(part, digest_size=_BYTES, key=key, person=kind).digest() for part in parts
    )
    return np.frombuffer(b"".join(made), dtype="<u8").astype(np.uint64)


def _plain(value: object) -> str:
    """A field as it is compared, whatever type its column was read as; empty where it is missing.

    >>> _plain("07"), _plain(True), _plain("2014-01-01T09:30"), _plain("n/a")
    ('7.0', '1.0', '2014-01-01 09:30:00', '')
    """
    text = str(value).strip()
    if text in MISSING:
        return ""
    try:
        number = float(value) if isinstance(value, (bool, int, float)) else float(text)
    except ValueError:
        return _TRUTH.get(text.lower()) or _moment(text).removesuffix(_MIDNIGHT)
    return repr(number + 0.0) if math.isfinite(number) else text


def _moment(text: str) -> str:
    """A date with a time of day, in one spelling; anything else as it is."""
    if text[4:5] != "-" or ":" not in text:
        return text
    try:
        return str(datetime.fromisoformat(text))
    except ValueError:
        return text
