"""Built-in studies: what is predicted, from what, and that nothing later than that is looked at."""

import numpy as np
import pandas as pd
import pytest

from domains.healthcare.cohort.schema import check_ranges
from domains.healthcare.patients import read_cohort
from domains.healthcare.studies import NAMES, find
from domains.healthcare.studies.framingham import LANDMARK
from domains.healthcare.studies.study import Study
from domains.sources import fetch


def _tables(one: Study) -> list[pd.DataFrame]:
    return [pd.read_parquet(fetch(name)) for name in one.sources]


def _features(one: Study, frame: pd.DataFrame) -> pd.DataFrame:
    exclude = [name for name in one.never if name in frame]
    cohort = read_cohort(frame, one.outcomes, one.name, exclude=exclude, patient=one.patient)
    return cohort.features


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_one_row_a_patient_within_its_ranges(name: str) -> None:
    one = find(name)
    tables = _tables(one)
    columns = set().union(*tables)
    assert set(one.never) <= columns
    assert set(one.ranges) <= columns
    for table in tables:
        check_ranges(table, one.ranges, one.name)
    frame = one.rows(tables)
    assert frame[one.patient].is_unique
    features = _features(one, frame)
    assert set(one.groups.values()) <= set(features)
    assert not set(features) & set(one.never)
    assert all(one.never.values())


def test_nhanes_keeps_what_defines_a_diagnosis_or_follows_from_it_from_the_features() -> None:
    one = find("nhanes")
    features = set(_features(one, one.rows(_tables(one))))
    for outcome in one.outcomes:
        assert outcome.column not in features
    assert not features & {"Glycohemoglobin", "TakingInsulinNow", "AgeWhenToldYouHadAStroke"}
    assert {"Gender", "RacehispanicOriginWNhAsian", "WeightKg"} <= features


def test_framingham_features_ignore_visits_and_events_after_the_landmark() -> None:
    one = find("framingham")
    (visits,) = _tables(one)
    rng = np.random.default_rng(0)
    later = visits["TIME"] > LANDMARK
    changed = visits.copy()
    for name in ("SYSBP", "TOTCHOL", "BMI", "PREVCHD", "CURSMOKE"):
        changed.loc[later, name] = rng.permutation(changed.loc[later, name])
    changed["GLUCOSE"] = changed["GLUCOSE"].mask(later)
    ended = changed["TIMEDTH"] > LANDMARK
    changed.loc[ended, "TIMEDTH"] = LANDMARK + 1 + rng.integers(0, 4000, int(ended.sum()))
    changed["STROKE"] = rng.integers(0, 2, len(changed))
    before, after = (_features(one, one.rows([each])) for each in (visits, changed))
    pd.testing.assert_frame_equal(before, after)


def test_nafld_features_ignore_values_and_events_after_the_index_date() -> None:
    one = find("nafld")
    people, tests = _tables(one)
    rng = np.random.default_rng(0)
    later = tests["days"] > 0
    values = tests.assign(value=np.where(later, rng.uniform(0, 500, len(tests)), tests["value"]))
    values = values[~later | (rng.random(len(tests)) < 0.5)]
    shifted = people.copy()
    for name in people.columns[people.columns.str.startswith("days.")]:
        late = shifted[name] > 0
        shifted.loc[late, name] = rng.integers(1, 5000, int(late.sum()))
    shifted["futime"] = rng.permutation(people["futime"])
    before = _features(one, one.rows([people, tests]))
    after = _features(one, one.rows([shifted, values]))
    pd.testing.assert_frame_equal(before, after)


def test_labels_are_unknown_where_a_disease_came_before_or_follow_up_ended() -> None:
    one = find("nafld")
    people, tests = _tables(one)
    frame = one.rows([people, tests]).set_index("id").loc[people["id"]]
    day, end = people["days.stroke"].to_numpy(float), people["futime"].to_numpy(float)
    label = frame["stroke"].to_numpy(float)
    assert np.isnan(label[day <= 0]).all()
    assert (label[(day > 0) & (day <= 1826)] == 1).all()
    assert np.isnan(label[np.isnan(day) & (end < 1826)]).all()
    assert (label[(end >= 1827) & ~(day <= 1826)] == 0).all()
    assert frame["stroke.since"].notna().to_numpy().tolist() == (day <= 0).tolist()
