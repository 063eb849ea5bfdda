"""Categories a model does not know are counted as they were encoded, by whatever model."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from domains.banking.features import Categorical, Derived, Numeric
from domains.healthcare.cohort.features import fit_encoder
from domains.healthcare.cohort.filled import mostly_filled
from domains.unseen import Marks, counted, summed, told
from models.credit_encoding import Coding, Encoder

Kind = Literal["linear", "steps", "bins"]
SECRET = "ZEBRA"
JOBS = pd.Series(["nurse", SECRET, None, "clerk", SECRET, "3.0"])


def _encoder(kind: Kind, balanced: bool) -> Encoder:
    features = (
        Numeric("age", (0.0, 50.0, 100.0)),
        Categorical("job", ("nurse", "clerk", "3")),
        Categorical("sector", ("44", "72")),
    )
    derived = (Derived("sector", "prefix", ("code",)),)
    return Encoder(features, derived, Coding(kind, balanced))


@pytest.mark.parametrize(("kind", "balanced"), product(("linear", "steps", "bins"), (0, 1)))
def test_every_coding_tells_the_same_and_changes_no_code(kind: Kind, balanced: int) -> None:
    encoder = _encoder(kind, bool(balanced))
    codes = ["4411", "9911", "0", None, "7200", "4400"]
    frame = pd.DataFrame({"age": 30.0, "job": JOBS, "code": codes})
    marks: Marks = {}
    assert np.array_equal(encoder.encode(frame, marks), encoder.encode(frame))
    assert marks["job"].tolist() == [0, 1, -1, 0, 1, 0]
    assert marks["code (as sector)"].tolist() == [0, 1, -1, -1, 0, 0]
    assert set(marks) == {"job", "code (as sector)"}


def test_patients_and_loans_mark_alike() -> None:
    known = pd.DataFrame({"age": [1.0, 2.0] * 30, "job": ["nurse", "clerk"] * 30})
    encoder = fit_encoder(known)
    frame = pd.DataFrame({"age": 1.0, "job": ["nurse", SECRET, None, "clerk"]})
    assert encoder.unseen(encoder.code(frame), frame)["job"].tolist() == [0, 1, -1, 0]


@pytest.mark.parametrize("patients", [None, np.arange(400)])
def test_numbers_far_from_all_that_training_held_are_marked(patients: np.ndarray | None) -> None:
    ages = np.random.default_rng(0).uniform(20, 90, 400)
    encoder = fit_encoder(pd.DataFrame({"age": ages}), patients)
    frame = pd.DataFrame({"age": [55.0, 95.0, 150.0, 9999.0, None, -1.0, -999.0, 21.0]})
    marks = encoder.unseen(encoder.code(frame), frame)
    assert marks["age"].tolist() == [0, 0, 0, 2, -1, 0, 2, 0]
    assert counted(marks) == {"age": [0, 7, 2]}
    assert summed([counted(marks, slice(0, 4)), counted(marks, slice(4, 8))]) == counted(marks)
    (line,) = told(counted(marks))
    assert line.startswith("column age: 2 of 7 numbers lie further from all that the model knows")
    assert "9999" not in line
    ordinary = pd.DataFrame({"age": ages})
    assert counted(encoder.unseen(encoder.code(ordinary), ordinary)) == {"age": [0, 400]}
    assert told({"age": [0, 400]}) == []


def test_a_column_that_is_empty_though_training_mostly_had_it_is_told() -> None:
    numbers = np.where(np.arange(400) % 5, 1.0 + np.arange(400), np.nan)
    words = pd.Series(["nurse", "clerk", " ", None] * 100)
    training = pd.DataFrame({"age": numbers, "job": words, "rare": numbers}).astype({"job": object})
    training.loc[150:, "rare"] = np.nan
    known = mostly_filled(training, public=True)
    assert known == {"age": 0.8, "job": 0.5}
    assert mostly_filled(training.iloc[:13], public=True)["age"] == 0.76
    assert mostly_filled(training.iloc[:13], public=False)["age"] == 0.75
    encoder = fit_encoder(training)
    empty = pd.DataFrame({"age": [np.nan] * 20, "job": [None] * 20, "rare": [np.nan] * 20})
    count = counted(encoder.unseen(encoder.code(empty), empty))
    first, second = told(count, 20, known)
    assert first.startswith("column age: empty in all 20 rows, though 80% of training records have")
    assert second.startswith(
        "column job: empty in all 20 rows, though 50% of training records have"
    )
    assert told(count, 19, known) == told(count, 20) == []
    filled = empty.assign(age=[*[np.nan] * 19, 7.0], job=pd.Series(["nurse"]))
    more = counted(encoder.unseen(encoder.code(filled), filled))
    assert told(summed([count, more]), 40, known) == []


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    draws = np.random.default_rng(0)
    marks = {name: draws.integers(-1, 2, 1000).astype(np.int8) for name in "ab"}
    cuts = [0, 1, 400, 400, 1000]
    parts = [counted(marks, slice(*pair)) for pair in pairwise(cuts)]
    assert summed(parts) == counted(marks)


def test_a_line_a_column_with_unknown_values_and_none_for_the_others() -> None:
    (line,) = told({"job": [29, 1029], "state": [0, 29]})
    assert line.startswith("column job: 29 of 1,029 values are categories that the model has not")
