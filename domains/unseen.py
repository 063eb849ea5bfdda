"""Values that a model does not know, counted by column; what they were is never told.

A category that training did not hold, or so rarely that it is not listed, is predicted from as
other, and a number beyond all that training held as the nearest it knows. A column that is empty in
all records is filled as a missing value is. That is no error: records change. But people must hear
of it.
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
_FEWEST = 20  # rows of which an empty column is told


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


def told(counts: Counts, rows: int = 0, known: Mapping[str, float] | None = None) -> list[str]:
    """A line a column that holds unknown categories, or numbers far from all known ones, or that is
    empty though training mostly had it.

    Args:
        counts: Of the records.
        rows: How many those are; of fewer than twenty an empty column is not told.
        known: Column → share of the training records that have a value, where that is most.

    >>> told({"job": [29, 29], "state": [0, 29]})[0].partition(";")[0]
    'column job: 29 of 29 values are categories that the model has not seen, or too rarely'
    """
    lines, most = [], {} if known is None or rows < _FEWEST else known
    for name, (some, of, *far) in counts.items():
        if not of and name in most:
            lines.append(
                f"column {name}: empty in all {rows:,} rows, though {most[name]:.0%} of "
                "training records have a value; scored as missing: was it lost on the way?"
            )
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
