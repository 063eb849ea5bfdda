"""Keyed fingerprints of rows: the same records are recognised under another name.

Eight bytes a row. Two different rows collide with probability 2⁻⁶⁴, and without the key nobody
can test whether a given record is among them.

A fingerprint is of the row's rarer values, whatever their order and the names of their columns, so
that shuffled or renamed columns, a constant one, or one that repeats another hide nothing, nor
does one of a few frequent values. It cannot recognise records whose rarer values were changed: a
number rounded or rescaled, or a column more or less that tells rows apart, such as a row number or
random numbers. The column that names the owners is that kind of column: rows are fingerprinted with
it and without, so that other names for the owners hide nothing.
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Prints = NDArray[np.uint64]
Records = tuple[Prints, ...]
"""An owner's records, fingerprinted in one or two ways; each sorted, a record once in each."""

_BYTES = 8
_FREQUENT = 0.1  # share of rows above which a value says little about a row
_FEW_ROWS = 10  # that never make a value frequent
_MIDNIGHT = " 00:00:00"


def row_fingerprints(frame: pd.DataFrame, key: bytes) -> Prints:
    """A keyed digest of each row's set of rarer values, (rows,); 0 for a row of frequent ones.

    Values are compared as text, and numbers by value: 1, 1.0 and "1" are one, so that the same
    table read from CSV and from Parquet agrees. Empty fields do not count.

    Args:
        frame: the columns that came with the file, none of them computed.
        key: the home's secret, at most 64 bytes.
    """
    codes, texts = _coded(frame)
    rare = _rare(codes, len(texts))
    words = np.array([*texts, ""], dtype=object)[codes[rare]].tolist()
    prints, start = np.zeros(len(frame), dtype=np.uint64), 0
    for place, end in enumerate(rare.sum(axis=1).cumsum().tolist()):
        if end > start:
            text = "\x1f".join(words[start:end]).encode()
            digest = hashlib.blake2b(text, key=key, digest_size=_BYTES).digest()
            prints[place] = int.from_bytes(digest, "little")
        start = end
    return prints


def owner_fingerprints(
    frame: pd.DataFrame, key: bytes, column: str, names: pd.Series
) -> Mapping[str, Records]:
    """Fingerprints of each owner's rows: with the column that names the owners, and without it.

    Args:
        frame, key: see `row_fingerprints`.
        column: names the owners.
        names: the owner of each row, (rows,); rows without one are nobody's.
    """
    ways = [row_fingerprints(frame, key), row_fingerprints(frame.drop(columns=column), key)]
    places = names.reset_index(drop=True).groupby(names.to_numpy()).indices
    return {str(name): records(*(way[rows] for way in ways)) for name, rows in places.items()}


def records(*ways: Prints) -> Records:
    """One owner's fingerprints, made in different ways; a way that tells nothing more is left."""
    found = [np.unique(way[way != 0]) for way in ways]
    return tuple(
        way
        for place, way in enumerate(found)
        if not any(np.array_equal(way, other) for other in found[:place])
    )


def _coded(frame: pd.DataFrame) -> tuple[NDArray[np.int64], list[str]]:
    """Every field as a number, (rows, columns), each row ascending, and the text of each number;
    numbers have the order of their texts, and -1 is an empty field."""
    columns = [_text(frame.iloc[:, place]) for place in range(frame.shape[1])]
    texts = sorted({text for _, held in columns for text in held} - {""})
    number = {text: place for place, text in enumerate(texts)} | {"": -1}
    codes = np.full((len(frame), len(columns)), -1, dtype=np.int64)
    for place, (found, held) in enumerate(columns):
        codes[:, place] = np.array([number[text] for text in held], dtype=np.int64)[found]
    codes.sort(axis=1)
    return codes, texts


def _rare(codes: NDArray[np.int64], texts: int) -> NDArray[np.bool_]:
    """Which fields count: not empty, not held by many rows, and each text once in a row."""
    counts = codes >= 0
    counts[:, 1:] &= codes[:, 1:] != codes[:, :-1]
    held = np.bincount(codes[counts], minlength=texts)
    frequent = held > max(_FEW_ROWS, _FREQUENT * len(codes))
    counts[counts] = ~frequent[codes[counts]]
    return counts


def _text(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    """Every field's place in a list of texts, the last of which, of place -1, is the empty one."""
    codes, values = pd.factorize(column)
    return codes, [*(_plain(value) for value in values.tolist()), ""]


def _plain(value: object) -> str:
    text = str(value).strip().removesuffix(_MIDNIGHT)
    try:
        number = float(value) if isinstance(value, (bool, int, float)) else float(text)
    except ValueError:
        return text
    return repr(number + 0.0) if math.isfinite(number) else text
