"""Raw cells become numbers and categories row by row, however a file or a request spells them."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from domains.banking.features import Categorical, Derived, Numeric
from domains.errors import InputError
from models.credit_encoding import Encoder
from models.intake import Field, accept

AGE, REGION = Field("age", "number"), Field("region", "text")
SPELLINGS = [("51", 51.0), (" 51.5 ", 51.5), ("+1e2", 100.0), (".5", 0.5), ("true", 1.0),
             ("", np.nan), ("NA", np.nan), ("nan", np.nan), (None, np.nan), (7, 7.0),
             (True, 1.0), (Decimal("1.5"), 1.5), (np.int64(3), 3.0)]  # fmt: skip
SECRET = "ZEBRA"
WRONG = [SECRET, "1_000", "0x1F", "inf", "-Infinity", "1e999", 10**400, float("inf"), [1, 2],
         {"a": 1}, b"1", pd.Timestamp("2020-01-01")]  # fmt: skip


@pytest.mark.parametrize(("cell", "value"), SPELLINGS)
def test_a_number_is_read_however_it_is_spelled(cell: object, value: float) -> None:
    accepted = accept(pd.DataFrame({"age": pd.Series([cell], dtype=object)}), [AGE])
    assert accepted.kept.tolist() == [0]
    assert accepted.frame["age"].dtype == np.float64
    assert np.array_equal(accepted.frame["age"], [value], equal_nan=True)


@pytest.mark.parametrize("cell", WRONG)
def test_what_is_no_number_costs_its_own_row_alone(cell: object) -> None:
    cells = pd.Series([1, cell, "3"], dtype=object)
    accepted = accept(pd.DataFrame({"age": cells}), [AGE])
    assert accepted.kept.tolist() == [0, 2]
    assert accepted.frame["age"].tolist() == [1.0, 3.0]
    assert list(accepted.reasons) == [1]
    assert "column 'age'" in accepted.reasons[1]
    assert SECRET not in accepted.reasons[1]


def test_a_bad_cell_changes_no_digit_of_its_neighbours() -> None:
    draws = np.random.default_rng(0).lognormal(0, 20, 5000)
    cells = [repr(float(value)) for value in draws]
    alone = accept(pd.DataFrame({"age": cells}), [AGE]).frame["age"]
    beside = accept(pd.DataFrame({"age": [*cells, SECRET]}), [AGE]).frame["age"]
    assert np.array_equal(alone, draws)
    assert np.array_equal(beside, draws)


def test_text_typed_and_python_cells_of_one_record_are_one_frame() -> None:
    typed = pd.DataFrame({"age": [51.0, np.nan, 7.0], "region": ["north", None, "south"]})
    text = pd.DataFrame({"age": ["51", None, "7.0"], "region": ["north", "", "south"]})
    python = pd.DataFrame({"age": [51, None, "7"], "region": ["north", None, "south"]},
                          dtype=object)  # fmt: skip
    coded = text.astype("category")
    frames = [accept(frame, [AGE, REGION]).frame for frame in (typed, text, python, coded)]
    for frame in frames:
        assert np.array_equal(frame["age"], typed["age"], equal_nan=True)
        assert [None if pd.isna(v) else v for v in frame["region"]] == ["north", None, "south"]


def test_a_bad_category_costs_every_row_that_holds_it() -> None:
    cells = pd.Series(["1", SECRET, None, "2", SECRET], dtype="category")
    accepted = accept(pd.DataFrame({"age": cells}), [AGE])
    assert accepted.kept.tolist() == [0, 2, 3]
    assert list(accepted.reasons) == [1, 4]


def test_a_nested_category_costs_its_row() -> None:
    accepted = accept(pd.DataFrame({"region": [["north"], "south"]}), [REGION])
    assert accepted.kept.tolist() == [1]
    assert "a list" in accepted.reasons[0]


def test_a_missing_column_refuses_the_whole_and_says_what_is_needed() -> None:
    with pytest.raises(InputError, match=r"loans.csv: column 'age' is missing.*age, region"):
        accept(pd.DataFrame({"region": ["north"]}), [AGE, REGION], "loans.csv")


def test_further_columns_are_passed_over_and_no_rows_are_no_error() -> None:
    accepted = accept(pd.DataFrame({"age": ["1"], "name": [SECRET]}).iloc[:0], [AGE])
    assert list(accepted.frame.columns) == ["age"]
    assert not len(accepted.kept)


def test_an_encoder_names_numbers_and_categories() -> None:
    encoder = Encoder(
        (
            Numeric("amount", (0.0, 1.0)),
            Categorical("purpose", ("car",)),
            Categorical("sector", ("11",)),
            Categorical("large", ("yes", "no")),
        ),
        (Derived("sector", "prefix", ("code",)), Derived("large", "above_one", ("units",))),
    )
    kinds = {field.name: field.kind for field in encoder.fields}
    assert kinds == {"code": "text", "units": "number", "amount": "number", "purpose": "text"}


def test_an_empty_category_is_empty_from_a_file_a_request_and_a_typed_column() -> None:
    fields = (Field("purpose", "text"),)
    for word in ("NA", "null", "", "NaN"):
        spelled = pd.DataFrame({"purpose": ["car", word]}, dtype=object)
        typed = pd.DataFrame({"purpose": pd.array(["car", word], dtype="string")})
        listed = pd.DataFrame({"purpose": pd.Categorical(["car", word])})
        for frame in (spelled, typed, listed):
            assert accept(frame, fields).frame["purpose"].isna().tolist() == [False, True], word
