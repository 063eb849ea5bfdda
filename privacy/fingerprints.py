"""Keyed fingerprints of rows: the same records are recognised under another name.

Eight bytes a row. Two different rows collide with probability 2⁻⁶⁴, and without the key nobody
can test whether a given record is among them.

A fingerprint is of the row's rarer values, whatever their order and the names of their columns, so
that shuffled or renamed columns, a constant one, or one that repeats another hide nothing, nor
does one of a few frequent values. It cannot recognise records whose rarer values were changed: a
number rounded or rescaled, or a column more or less that tells rows apart, such as a row number.
"""

import hashlib
import math
from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_BYTES = 8
_FREQUENT = 0.1  # share of rows above which a value says little about a row
_FEW_ROWS = 10  # that never make a value frequent
_MIDNIGHT = " 00:00:00"


def row_fingerprints(frame: pd.DataFrame, key: bytes) -> set[bytes]:
    """One keyed digest for each distinct set of rarer values; a row of frequent ones has none.

    Values are compared as text, and numbers by value: 1, 1.0 and "1" are one, so that the same
    table read from CSV and from Parquet agrees. Empty fields do not count.

    Args:
        frame: the columns that came with the file, none of them computed.
        key: the home's secret, at most 64 bytes.
    """
    columns = [_text(frame.iloc[:, place]) for place in range(frame.shape[1])]
    sets = [set(row) - {""} for row in zip(*columns, strict=True)]
    held = Counter(value for row in sets for value in row)
    most = max(_FEW_ROWS, _FREQUENT * len(sets))
    frequent = {value for value, count in held.items() if count > most}
    rare = {frozenset(row - frequent) for row in sets}
    return {
        hashlib.blake2b("\x1f".join(sorted(row)).encode(), key=key, digest_size=_BYTES).digest()
        for row in rare
        if row
    }


def as_numbers(fingerprints: set[bytes]) -> NDArray[np.uint64]:
    """Sorted numbers, from the first eight bytes of each fingerprint.

    Raises:
        ValueError: a fingerprint is shorter.
    """
    if any(len(fingerprint) < _BYTES for fingerprint in fingerprints):
        raise ValueError(f"fingerprints need at least {_BYTES} bytes")
    joined = b"".join(fingerprint[:_BYTES] for fingerprint in fingerprints)
    return np.unique(np.frombuffer(joined, dtype="<u8"))


def shared(numbers: NDArray[np.uint64], stored: bytes) -> NDArray[np.bool_]:
    """Which of `numbers` are among the stored ones."""
    return np.isin(numbers, np.frombuffer(stored, dtype="<u8"))


def _text(column: pd.Series) -> list[str]:
    """Every field as text, "" where it is empty; each distinct value is looked at once."""
    codes, values = pd.factorize(column)
    told = [*(_plain(value) for value in values.tolist()), ""]  # code -1: empty
    return [told[code] for code in codes.tolist()]


def _plain(value: object) -> str:
    text = str(value).strip().removesuffix(_MIDNIGHT)
    try:
        number = float(value) if isinstance(value, (bool, int, float)) else float(text)
    except ValueError:
        return text
    return repr(number + 0.0) if math.isfinite(number) else text
