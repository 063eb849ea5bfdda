"""Keyed fingerprints of rows: the same records are recognised under another name.

Eight bytes a row. Two different rows collide with probability 2⁻⁶⁴, and without the key nobody
can test whether a given record is among them.
"""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_BYTES = 8


def row_fingerprints(frame: pd.DataFrame, key: bytes) -> set[bytes]:
    """One keyed digest for each distinct row, whatever the order of rows and columns.

    Numbers are compared as float64, everything else as text, so that the same table read from CSV
    and from Parquet agrees. A file with a column more or less has other fingerprints.

    Args:
        frame: the columns that came with the file, none of them computed.
        key: the home's secret, at most 64 bytes.
    """
    columns = {str(name): _text(frame[name]) for name in sorted(frame.columns, key=str)}
    rows = zip(*columns.values(), strict=True)
    return {
        hashlib.blake2b("\x1f".join(row).encode(), key=key, digest_size=_BYTES).digest()
        for row in rows
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
    if pd.api.types.is_numeric_dtype(column):
        return [
            repr(value) for value in column.to_numpy(dtype=np.float64, na_value=np.nan).tolist()
        ]
    return ["" if value is pd.NA or value != value else str(value) for value in column.tolist()]
