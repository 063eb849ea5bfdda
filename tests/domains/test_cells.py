"""A field is read by itself: what it spells, whatever stands above and below it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from domains.banking.cells import comparable, kinds_of, numbers_of, texts_of

CELLS: list[tuple[str | None, float, str | None, str | None]] = [
    # as spelled, its number, its kind, the value as categories are compared
    ("12", 12.0, "number", "12"),
    ("12.0", 12.0, "number", "12"),
    ("12.50", 12.5, "number", "12.5"),
    ("-3", -3.0, "number", "-3"),
    (" 7 ", 7.0, "number", "7"),
    ("1e3", 1000.0, "number", "1e3"),
    ("007", 7.0, "number", "007"),
    ("12345678901234567891", 12345678901234567891.0, "number", "12345678901234567891"),
    ("inf", np.inf, "number", "inf"),
    ("1e999", np.inf, "number", "1e999"),
    ("unknown", np.nan, "category", "unknown"),
    ("0x10", np.nan, "category", "0x10"),
    ("1_000", np.nan, "category", "1_000"),
    ("true", np.nan, "category", "True"),
    ("2005-12-31", np.nan, "date", "2005-12-31"),
    (None, np.nan, None, None),
]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("others", [[], ["4"], ["a word"], ["2001-01-01", None]])
def test_a_field_is_read_as_if_it_stood_alone(
    cell: tuple[str | None, float, str | None, str | None], others: list[str | None]
) -> None:
    spelled, number, kind, text = cell
    for dtype in ("str", "object"):
        column = pd.Series([spelled, *others], dtype=dtype)
        np.testing.assert_equal(numbers_of(column)[0], number)
        assert kinds_of(column)[0] == kind
        found = texts_of(column)[0]
        assert pd.isna(found) if text is None else found == text


def test_numbers_without_a_word_among_them_are_the_same_numbers() -> None:
    drawn = np.random.default_rng(0).lognormal(8, 4, 500)
    texts = pd.Series([repr(value) for value in drawn.tolist()], dtype="str")
    np.testing.assert_array_equal(numbers_of(texts), drawn)
    longer = pd.concat([texts, pd.Series(["x"], dtype="str")])
    np.testing.assert_array_equal(numbers_of(longer)[:-1], drawn)


def test_stored_as_text_or_typed_fields_compare_equal() -> None:
    frame = pd.DataFrame(
        {
            "amount": [1.0, 2.5, np.nan],
            "count": [1, 2, 3],
            "flag": [True, False, True],
            "day": pd.Series([pd.Timestamp("2001-01-01"), pd.Timestamp("2001-01-02"), pd.NaT]),
            "name": ["a", None, "c"],
        }
    )
    spelled = pd.DataFrame(
        {
            "amount": ["1", "2.50", None],
            "count": ["1", "2.0", "3"],
            "flag": ["true", "False", "True"],
            "day": ["2001-01-01", "2001-01-02 00:00:00", None],
            "name": ["a", None, "c"],
        }
    )
    pd.testing.assert_frame_equal(comparable(frame), comparable(spelled))
