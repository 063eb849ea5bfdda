"""Columns out of range, in other units, of other names, or that nothing can be learned from."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.cohort.columns import check_features
from domains.healthcare.cohort.features import fit_encoder
from domains.healthcare.cohort.schema import Range, check_like, check_ranges, inferred
from tests.domains.sample_patients import sample_patients

FEATURES = ["age", "lab", "ward", "smoker"]
TRAINING = sample_patients()[FEATURES]


def _check(frame: pd.DataFrame, *differing: str) -> None:
    check_like(frame, inferred(fit_encoder(TRAINING), TRAINING, differing), "there.csv")


def test_a_number_out_of_range_names_file_row_column_and_what_was_expected() -> None:
    frame = TRAINING.copy()
    frame.loc[[6, 9], "age"] = 999
    with pytest.raises(InputError) as raised:
        check_ranges(frame, {"lab": Range(0, 1e6), "age": Range(0, 120, "years")}, "file.csv")
    said = str(raised.value)
    assert said.startswith("file.csv: row 7, column age: a number above the range (2 cell(s)")
    assert "expected 0 to 120 years" in said
    assert "999" not in said
    with pytest.raises(InputError, match="row 1, column age: a number below the range"):
        check_ranges(frame.assign(age=-1), {"age": Range(0, 120)}, "file.csv")
    with pytest.raises(InputError, match="column ward: row 1 holds text, expected a number"):
        check_ranges(frame, {"ward": Range(0, 120)}, "file.csv")


def test_empty_cells_and_bounds_are_within_range() -> None:
    frame = pd.DataFrame({"age": [0.0, np.nan, 120.0]})
    check_ranges(frame, {"age": Range(0, 120), "elsewhere": Range(0, 1)}, "file.csv")


def test_records_of_the_same_kind_pass_whatever_their_seed() -> None:
    for seed in range(1, 6):
        _check(sample_patients(120, seed)[FEATURES])


@pytest.mark.parametrize("factor", [10, 1 / 18, 88.4])
def test_other_units_are_named(factor: float) -> None:
    other = sample_patients(200, seed=3)[FEATURES]
    with pytest.raises(InputError, match=r"there\.csv: column lab holds numbers on another scale"):
        _check(other.assign(lab=other["lab"] * factor))
    _check(other.assign(lab=other["lab"] * factor), "lab")


@pytest.mark.parametrize("factor", [2.54, 1 / 2.54, 2.2046, 1 / 2.2046])
def test_inches_and_pounds_are_named_where_numbers_lie_close_together(factor: float) -> None:
    weight = np.random.default_rng(0).normal(80, 17, 900).clip(30, 220)
    training = TRAINING.assign(weight=weight)
    schema = inferred(fit_encoder(training), training)
    for seed in range(20):
        kilograms = np.random.default_rng(seed + 1).normal(76, 15, 150).clip(30, 220)
        there = sample_patients(150, seed)[FEATURES].assign(weight=kilograms)
        check_like(there, schema, "there.csv")
        with pytest.raises(InputError, match=r"column weight holds numbers on another scale"):
            check_like(there.assign(weight=there["weight"] * factor), schema, "there.csv")


def test_amounts_that_vary_widely_may_be_twice_as_large() -> None:
    other = sample_patients(200, seed=3)[FEATURES]
    _check(other.assign(lab=other["lab"] * 2.4))


def test_a_median_outside_of_trainings_range_is_named() -> None:
    other = sample_patients(200, seed=3)[FEATURES]
    with pytest.raises(InputError, match="column age holds numbers on another scale"):
        _check(other.assign(age=other["age"] + 150))


def test_all_moved_columns_are_told_in_one_line() -> None:
    other = sample_patients(200, seed=3)[FEATURES]
    moved = other.assign(age=other["age"] * 365, ward=other["ward"].str.upper())
    with pytest.raises(InputError, match=r"\(and so do ") as raised:
        _check(moved)
    assert "\n" not in str(raised.value)


def test_categories_coded_otherwise_are_named_and_a_few_new_ones_pass() -> None:
    other = sample_patients(200, seed=3)[FEATURES]
    with pytest.raises(InputError, match="column ward holds categories of which the data have"):
        _check(other.assign(ward=other["ward"].map({"surgery": 1, "medicine": 2, "rare": 3})))
    _check(other.assign(ward=other["ward"].where(other.index > 20, "new")))


def test_other_columns_are_named() -> None:
    other = sample_patients(50, seed=3)[FEATURES]
    with pytest.raises(InputError, match=r"1 column\(s\) are not in the data: extra; take"):
        _check(other.assign(extra=1))
    with pytest.raises(InputError, match="1 of 4 needed columns are missing: ward, and 1 column"):
        _check(other.rename(columns={"ward": "Ward"}))


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([7.0] * 900, "column lab holds one value in all 900 rows"),
        (["same"] * 900, "column lab holds one value in all 900 rows"),
        (["03/12/2019", "04/12/2019"] * 450, "column lab holds dates"),
        (["3 Mar 2019", "14 December 2019"] * 450, "column lab holds dates"),
        (["March 3, 2019", "Apr 4, 2019"] * 450, "column lab holds dates"),
        ([20190312, 20191231] * 450, "column lab holds dates of eight digits"),
        ([20190312.0, np.nan, 20191231.0] * 300, "column lab holds dates of eight digits"),
        ([pd.Timedelta(days=3), pd.Timedelta(days=5)] * 450, "column lab holds durations"),
        ([f"{k / 10}".replace(".", ",") for k in range(900)], "column lab holds numbers with comm"),
        ([f"{k + 1000:,}" for k in range(900)], "column lab holds numbers with commas"),
        ([f"MRN{k}" for k in range(900)], "column lab holds another word in nearly every row"),
        (["23:30", "06:15"] * 450, "column lab holds times of the clock"),
        ([f"came in with pain number {k}" for k in range(900)], "column lab holds free text"),
        ([*map(str, range(899)), "unknown"], "1 text, the first in row 900"),
    ],
)
def test_columns_nothing_can_be_learned_from_are_one_line(cells: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        check_features(TRAINING.assign(lab=pd.Series(cells)), "file.csv")
    assert "\n" not in str(raised.value)
    assert "pain" not in str(raised.value)


def test_ticks_codes_and_categories_of_several_words_are_columns_to_learn_from() -> None:
    rng = np.random.default_rng(0)
    stages = [f"cancer of the lung stage {k}" for k in range(30)]
    fine = TRAINING.assign(
        tick=pd.Series("yes", range(900)).where(rng.random(900) < 0.3),
        stage=rng.choice(stages, 900),
        code=[f"c{k % 500}" for k in range(900)],
        several=[f"{k % 3},{k % 5}" for k in range(900)],
        platelets=rng.integers(150_000, 400_000, 900) * 100,
        day=[20_190_000 + k for k in range(900)],
        number=[str(k) for k in range(900)],
    )
    check_features(fine, "file.csv")
