"""How many of private records there are, told so that nobody stands out.

Of private records fewer than five patients are never counted exactly, and counts are rounded to
five, so that what is left out cannot be found by subtraction. Numbers keep three digits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

FEWEST = 5
"""Patients of private records of whom something is told together."""
HIDDEN = f"<{FEWEST}"
_MOST_DIGITS = 308


def patients_in(patients: np.ndarray) -> int:
    """How many different ones, of each record's patient (n,)."""
    return len(pd.unique(pd.Series(patients)))


def rounded(count: int) -> int:
    """To the nearest five.

    >>> rounded(12), rounded(13)
    (10, 15)
    """
    return FEWEST * round(count / FEWEST)


def counted(count: int, patients: int, public: bool) -> int | str:
    """A number of records as a table shows it.

    Args:
        count: Of the records.
        patients: Whose they are.
        public: Whether the exact number may be told.

    >>> counted(7, 4, False), counted(7, 6, False), counted(7, 4, True)
    ('<5', 5, 7)
    """
    if public:
        return count
    return HIDDEN if patients < FEWEST else rounded(count)


def in_words(count: int, patients: int, public: bool) -> str:
    """The same as a sentence says it.

    >>> in_words(7, 4, False), in_words(1203, 900, False), in_words(7, 4, True)
    ('fewer than five', 'about 1,205', '7')
    """
    if public:
        return f"{count:,}"
    return "fewer than five" if patients < FEWEST else f"about {rounded(count):,}"


def round_digits(values: np.ndarray, spread: float) -> np.ndarray:
    """Three significant digits of each value, or as many as three of their spread take.

    >>> round_digits(np.array([0.12345, 2015.1234, 2018.5]), 3.4).tolist()
    [0.123, 2015.12, 2018.5]
    """
    least = _decimals(spread)
    return np.array([round(v, max(least, _decimals(v))) for v in values.tolist()], dtype=float)


def _decimals(value: float) -> int:
    """After the point, negative before it, of three significant digits."""
    return 2 - int(np.floor(np.log10(abs(value)))) if value else -_MOST_DIGITS
