"""Values that a model does not know, counted by column; what they were is never told.

A category that training did not hold, or so rarely that it is not listed, is predicted from as
other, and a number beyond all that training held as the nearest it knows. That is no error: records
change. But people must hear of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

Marks = dict[str, np.ndarray]
"""Column → (n,) int8: 1 where a record's category is unknown, 2 where its number is far from all
known ones, 0 where known, −1 where empty."""

Counts = dict[str, list[int]]
"""Column → how many categories are unknown, of how many values that are not empty; and how many
numbers are far from all known ones, where any is."""

FAR = 2


def marked(other: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """What stands in `Marks`, from (n,) bool each."""
    return np.subtract(other, empty, dtype=np.int8)


def counted(marks: Mapping[str, np.ndarray], rows: slice = slice(None)) -> Counts:
    """Marks of some records as counts."""
    return {name: _count(given[rows]) for name, given in marks.items()}


def _count(marks: np.ndarray) -> list[int]:
    found = [int(np.count_nonzero(marks == 1)), int(np.count_nonzero(marks >= 0))]
    far = int(np.count_nonzero(marks == FAR))
    return [*found, far] if far else found


def summed(parts: Iterable[Counts]) -> Counts:
    """Counts of several parts together.

    >>> summed([{"job": [1, 5]}, {"job": [0, 4]}])
    {'job': [1, 9]}
    """
    unknown: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    beyond: Counter[str] = Counter()
    for part in parts:
        for name, (some, of, *far) in part.items():
            unknown[name] += some
            filled[name] += of
            beyond[name] += sum(far)
    return {
        name: [unknown[name], filled[name], *([beyond[name]] if beyond[name] else [])]
        for name in filled
    }


def told(counts: Counts) -> list[str]:
    """A line a column that holds unknown categories, or numbers far from all known ones.

    >>> told({"job": [29, 29], "state": [0, 29]})[0].partition(";")[0]
    'column job: 29 of 29 values are categories that the model has not seen, or too rarely'
    """
    lines = []
    for name, (some, of, *far) in counts.items():
        if some:
            lines.append(
                f"column {name}: {some:,} of {of:,} values are categories that the model has not "
                "seen, or too rarely; scored as rare/other"
            )
        if sum(far):
            lines.append(
                f"column {name}: {sum(far):,} of {of:,} numbers lie further from all that the "
                "model knows than these from one another; scored as the nearest: another unit, or "
                "a code for unknown?"
            )
    return lines
