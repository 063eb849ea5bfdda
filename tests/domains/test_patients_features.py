"""Features: fixed on training records, never an outcome, the same after JSON."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.cohort.features import Category, Encoder, Number, fit_encoder
from domains.healthcare.cohort.leakage import suspects
from domains.healthcare.cohort.store import read_part, write_cohort
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.patients import Cohort, read_cohort
from domains.healthcare.studies.support2 import STUDY as SUPPORT2
from domains.sources import fetch
from tests.domains.sample_patients import OUTCOMES, sample_patients

KNOWN_BY_DAY_3 = {
    *("age", "sex", "dzgroup", "num.co", "edu", "income", "scoma", "race", "diabetes", "dementia"),
    *("ca", "meanbp", "wblc", "hrt", "resp", "temp", "pafi", "alb", "bili", "crea", "sod", "ph"),
    *("glucose", "bun", "urine", "hday"),
}


@pytest.fixture
def cohort() -> Cohort:
    return read_cohort(sample_patients(), OUTCOMES, "file.csv", patient="id")


def test_outcome_columns_and_patient_ids_are_never_features(cohort: Cohort) -> None:
    assert list(cohort.features) == ["age", "lab", "ward", "smoker"]


def test_support2_features_are_those_known_by_day_3_whatever_is_asked() -> None:
    frame = pd.read_parquet(fetch("support2"))
    for outcomes in (SUPPORT2.outcomes, SUPPORT2.outcomes[:1]):
        cohort = read_cohort(
            frame,
            outcomes,
            "support2",
            exclude=tuple(SUPPORT2.never),
            patient=SUPPORT2.patient,
        )
        assert set(cohort.features) == KNOWN_BY_DAY_3
    labels = read_cohort(frame, SUPPORT2.outcomes, "support2").targets.mask.sum(axis=0)
    assert labels.tolist() == [9105, 9075, 6238, 7705, 9105, 8217, 9105]


def test_encoder_looks_at_training_records_only(cohort: Cohort) -> None:
    training = cohort.features.iloc[:300]
    encoder = fit_encoder(training)
    others = cohort.features.iloc[300:].assign(age=1e6, ward="elsewhere")
    assert fit_encoder(training) == encoder
    encoded = encoder.encode(others)
    assert np.isfinite(encoded).all()
    assert encoded[:, 0].max() <= encoder.encode(training)[:, 0].max()


def test_numbers_are_standardised_and_keep_their_order(cohort: Cohort) -> None:
    encoder = fit_encoder(cohort.features)
    age = encoder.encode(cohort.features)[:, 0]
    assert age.mean() == pytest.approx(0, abs=0.02)
    assert age.std() == pytest.approx(1, abs=0.02)
    assert (np.diff(age[np.argsort(cohort.features.age)]) >= 0).all()


def test_missing_is_a_feature_and_unseen_is_other() -> None:
    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0] * 20, "c": ["a", "b", None] * 20})
    encoder = fit_encoder(frame)
    new = pd.DataFrame({"x": [np.nan, 2.0], "c": ["new", None]})
    encoded = encoder.encode(new)
    assert encoded[:, 1].tolist() == [1, 0]  # x was missing
    assert encoded[:, 2:].tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]  # a, b, other, missing


def test_rules_of_private_records_hold_no_ones_own_values() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(70, 10, 400)
    weight[:4] = 19.1357, 20.2468, 171.3579, 180.2461
    town = np.array(["here", "there"] * 200, dtype=object)
    town[:12] = ["hamlet"] * 12  # often, but of three patients alone
    patients = np.repeat([f"p{k}" for k in range(100)], 4)
    frame = pd.DataFrame({"weight": weight, "town": town})
    number, category = fit_encoder(frame, patients).features
    assert isinstance(number, Number)
    assert isinstance(category, Category)
    assert category.levels == ("here", "there")
    assert all(float(f"{value:.3g}") == value for value in number.values)
    ordered = np.sort(weight)
    assert ordered[4] < number.values[0]
    assert number.values[-1] < ordered[-5]
    number, category = fit_encoder(frame).features
    assert isinstance(number, Number)
    assert isinstance(category, Category)
    assert category.levels == ("hamlet", "here", "there")
    assert number.values[-1] == weight.max()


def test_private_numbers_that_are_large_and_close_together_stay_apart() -> None:
    years = np.repeat([2015.0, 2016.0, 2017.0, 2018.0], 100)
    frame = pd.DataFrame({"year": years, "flag": [0.0] * 398 + [1.0] * 2})
    year, flag = fit_encoder(frame, np.arange(400)).features
    assert isinstance(year, Number)
    assert isinstance(flag, Number)
    assert {2015, 2016, 2017, 2018} <= set(year.values)
    assert len(np.unique(year.code(frame["year"], "input"))) == 4
    for feature in (year, flag):  # of numbers that were learned from none is far from all
        column = frame[feature.name]
        assert not feature.far(column, feature.code(column, "input"), "input").any()


def test_column_without_a_value_in_training_is_harmless() -> None:
    frame = pd.DataFrame({"x": [np.nan] * 5, "y": [1.0, 2, 3, 4, 5]})
    encoder = fit_encoder(frame)
    assert np.isfinite(encoder.encode(pd.DataFrame({"x": [7.0], "y": [2.0]}))).all()


def test_encoder_survives_json(cohort: Cohort) -> None:
    encoder = fit_encoder(cohort.features)
    again = Encoder.from_json(encoder.to_json())
    assert again == encoder
    assert np.array_equal(again.encode(cohort.features), encoder.encode(cohort.features))
    assert [type(f) for f in again.features] == [Number, Number, Category, Number]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "column lab is empty in all 900 rows; list it under exclude"),
        (pd.Timestamp("2020-01-01"), "column lab holds dates"),
    ],
)
def test_columns_that_cannot_be_features_are_named(value: float | pd.Timestamp, said: str) -> None:
    frame = sample_patients()
    frame["lab"] = value
    with pytest.raises(InputError, match=said):
        read_cohort(frame, OUTCOMES, "file.csv", patient="id")


def test_a_word_among_numbers_is_a_mistake_not_a_category() -> None:
    frame = sample_patients()
    frame["age"] = frame["age"].astype(object)
    frame.loc[6, "age"] = "unknown"
    with pytest.raises(InputError, match="899 cells hold numbers and 1 text, the first in row 7"):
        read_cohort(frame, OUTCOMES, "file.csv", patient="id")


def test_unknown_columns_are_refused_with_the_nearest_ones() -> None:
    frame = sample_patients()
    with pytest.raises(InputError, match="exclude: no column 'Agee'; did you mean age"):
        read_cohort(frame, OUTCOMES, "file.csv", exclude=["Agee"])
    with pytest.raises(InputError, match="outcome x: no column 'dieed'; did you mean died"):
        read_cohort(frame, [Outcome("x", "binary", column="dieed")], "file.csv")
    away = frame.drop(columns="died")
    with pytest.raises(InputError, match="add the column and leave its cells empty"):
        read_cohort(away, OUTCOMES, "elsewhere.csv", patient="id", learn=False)
    with pytest.raises(InputError, match="no column 'cost'; there are "):  # not: did you mean lab
        read_cohort(frame, [Outcome("x", "binary", column="cost")], "file.csv")
    names = ["id", "age", "lab", "ward", "smoker"]
    with pytest.raises(InputError, match="shorten exclude"):
        read_cohort(frame, OUTCOMES, "file.csv", exclude=names)


def test_scoring_without_a_needed_column_names_it(cohort: Cohort) -> None:
    encoder = fit_encoder(cohort.features)
    with pytest.raises(InputError, match="2 of 4 needed columns are missing: age, ward"):
        encoder.encode(cohort.features[["lab", "smoker"]])


def test_record_ids_follow_the_record_not_its_place_or_storage() -> None:
    frame = sample_patients(100).drop(columns="id")
    ids = read_cohort(frame, OUTCOMES, "f").records
    shuffled = frame.sample(frac=1, random_state=1)
    stored = shuffled.astype({"smoker": float})[list(reversed(frame.columns))]
    again = read_cohort(stored.reset_index(drop=True), OUTCOMES, "f").records
    assert again.tolist() == ids[shuffled.index].tolist()
    assert len(set(ids)) == 100


def test_patients_are_the_same_ones_in_another_kind_of_file() -> None:
    """CSV has 007 as the number 7, and with it a Parquet file has it as text."""
    frame = sample_patients(100)
    spelled = frame.assign(id=[f"{place:06d}" for place in range(100)])
    numbers = frame.assign(id=np.arange(100.0))
    found = [read_cohort(each, OUTCOMES, "f", patient="id").patients for each in (spelled, numbers)]
    assert found[0].tolist() == found[1].tolist() == [str(place) for place in range(100)]


def test_a_column_that_gives_an_outcome_away_is_named() -> None:
    frame = sample_patients().assign(code=lambda d: np.where(d.died == 1, "x", "y"))
    frame["late"] = frame.time + np.random.default_rng(0).normal(0, 0.1, len(frame))
    outcomes = [*OUTCOMES[:3], Outcome("longer", "regression", column="time")]
    cohort = read_cohort(frame, outcomes, "f", exclude=["event"], patient="id")
    encoder = fit_encoder(cohort.features)
    codecs = {o.name: fit_codec(o, cohort.targets.values[o.name]) for o in outcomes}
    found = suspects(encoder, cohort.features, cohort.targets, codecs)
    assert {(s.feature, s.outcome) for s in found} == {("code", "death"), ("late", "longer")}


def test_a_stored_cohort_is_read_back_as_it_was(cohort: Cohort, tmp_path: Path) -> None:
    path = write_cohort(cohort, np.array(["train", "test"] * 450, dtype=object), tmp_path / "c")
    part = read_part(path, OUTCOMES, "test")
    half = cohort.take(np.arange(1, 900, 2))
    pd.testing.assert_frame_equal(part.features, half.features, check_dtype=False)
    assert np.array_equal(part.targets.mask, half.targets.mask)
    assert part.patients.tolist() == half.patients.tolist()
    assert part.targets.values["place"].tolist() == half.targets.values["place"].tolist()


def test_the_typical_record_is_the_middle_of_numbers_and_the_most_common_level() -> None:
    frame = pd.DataFrame(
        {
            "age": np.arange(101.0),
            "rare": np.repeat([0.0, 1.0], [95, 6]),
            "ward": np.repeat(["a", "b", None], [30, 60, 11]),
        }
    )
    encoder = fit_encoder(frame)
    assert encoder.typical().to_dict("records") == [{"age": 50.0, "rare": 0.0, "ward": "b"}]
    assert Encoder.from_json(encoder.to_json()) == encoder
