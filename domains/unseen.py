"""Categories that a model does not know, counted by column; what they were is never told.

A value that training did not hold, or so rarely that it is not listed, is predicted from as other.
That is no error: records change. But people must hear of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

Marks = dict[str, np.ndarray]
"""Column → (n,) int8: 1 where a record's category is unknown, 0 where known, −1 where empty."""

Counts = dict[str, list[int]]
"""Column → how many values are unknown, of how many that are not empty."""


def marked(other: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """What stands in `Marks`, from (n,) bool each."""
    return np.subtract(other, empty, dtype=np.int8)


def counted(marks: Mapping[str, np.ndarray], rows: slice = slice(None)) -> Counts:
    """Marks of some records as counts."""
    return {name: _count(given[rows]) for name, given in marks.items()}


def _count(marks: np.ndarray) -> list[int]:
    return [int(np.count_nonzero(marks > 0)), int(np.count_nonzero(marks >= 0))]


def summed(parts: Iterable[Counts]) -> Counts:
    """Counts of several parts together.

    >>> summed([{"job": [1, 5]}, {"job": [0, 4]}])
    {'job': [1, 9]}
    """
    unknown: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    for part in parts:
        for name, (some, of) in part.items():
            unknown[name] += some
            filled[name] += of
    return {name: [unknown[name], filled[name]] for name in filled}


def told(counts: Counts) -> list[str]:
    """A line a column that holds unknown categories.

    >>> told({"job": [29, 29], "state": [0, 29]})[0].partition(";")[0]
    'column job: 29 of 29 values are categories that the model has not seen, or too rarely'
    """
    return [
        f"column {name}: {some:,} of {of:,} values are categories that the model has not seen, or "
        "too rarely; scored as rare/other"
        for name, (some, of) in counts.items()
        if some
    ]
