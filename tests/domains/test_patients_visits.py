"""Visits become one row a patient, and nothing after the prediction time has a say in it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domains.errors import InputError
from domains.healthcare.cohort.rows import Moment, check_one_row, from_visits
from domains.healthcare.cohort.visits import happened_within, summarise

VISITS = pd.DataFrame(
    {
        "id": ["a", "a", "a", "a", "b", "b", "c"],
        "day": [0.0, 365.25, 730.5, 1000.0, 100.0, 730.5, 900.0],
        "lab": [1.0, 3.0, np.nan, 99.0, 5.0, np.nan, 7.0],
        "ward": ["x", "y", None, "z", "x", "x", "y"],
        "sex": ["f", "f", "f", "f", "m", "m", "f"],
    }
)


def test_last_value_trend_count_and_time_since_are_those_by_hand() -> None:
    rows = summarise(VISITS, "id", "day", 730.5, plain=["sex"]).set_index("id")
    assert list(rows.index) == ["a", "b"]
    assert rows["lab.last"].tolist() == [3.0, 5.0]
    assert rows["lab.trend"].fillna(-1).tolist() == pytest.approx([2.0, -1])
    assert rows["lab.count"].tolist() == [2, 1]
    assert rows["lab.since"].tolist() == pytest.approx([1.0, 630.5 / 365.25])
    assert rows["ward.last"].tolist() == ["y", "x"]
    assert rows["visits.count"].tolist() == [3, 2]
    assert rows["sex"].tolist() == ["f", "m"]
    assert "ward.trend" not in rows
    assert "visits.since" not in rows  # the same for both


def test_a_trend_is_the_slope_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    day, lab = rng.uniform(0, 2000, 30), rng.normal(50, 9, 30)
    people = np.repeat(["a", "b"], [12, 18])
    rows = summarise(pd.DataFrame({"id": people, "day": day, "lab": lab}), "id", "day", 2000)
    for person, trend in zip(rows["id"], rows["lab.trend"], strict=True):
        theirs = people == person
        slope = np.polyfit(day[theirs] / 365.25, lab[theirs], 1)[0]
        assert trend == pytest.approx(slope)


@settings(max_examples=12, deadline=None)
@given(
    later=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "d"]),
            st.floats(731, 5000),
            st.none() | st.floats(-1e6, 1e6),
            st.sampled_from(["x", "y", "q", None]),
        ),
        max_size=8,
    ),
    seed=st.integers(0, 5),
)
def test_what_is_recorded_after_the_prediction_time_changes_no_feature(
    later: list[tuple[str, float, float | None, str | None]], seed: int
) -> None:
    """Later visits are changed, added and taken away, and the order of the file too."""
    early = VISITS[VISITS["day"] <= 730.5]
    more = pd.DataFrame(later, columns=["id", "day", "lab", "ward"]).assign(sex="f")
    changed = pd.concat([early, more.astype(early.dtypes.to_dict())])
    changed = changed.sample(frac=1, random_state=seed).reset_index(drop=True)
    when = Moment("day", 730.5, 365.25)
    expected = from_visits(VISITS, "id", when, [], "file.csv")
    pd.testing.assert_frame_equal(from_visits(changed, "id", when, [], "file.csv"), expected)


def test_events_are_unknown_where_they_came_before_or_follow_up_ended() -> None:
    first = pd.Series([5.0, 15.0, 25.0, np.nan, np.nan, np.nan, 10.0])
    followed = pd.Series([40.0, 15.0, 40.0, 40.0, 15.0, 20.0, 40.0])
    label = happened_within(first, followed, start=10, length=10)
    assert np.array_equal(label, [np.nan, 1, 0, 0, np.nan, 0, np.nan], equal_nan=True)


def test_a_further_file_gets_the_columns_of_the_first() -> None:
    when = Moment("day", 730.5, 365.25)
    first = from_visits(VISITS, "id", when, [], "file.csv")
    assert {"sex", "ward.last", "lab.count"} <= set(first)
    other = VISITS.assign(ward="x", sex=["f", "m", "f", "m", "f", "m", "f"])
    again = from_visits(other, "id", when, [], "there.csv", like=[*map(str, first)])
    assert list(again) == list(first)


def test_columns_of_one_value_a_patient_are_taken_from_any_visit_and_must_agree() -> None:
    visits = VISITS.assign(died=[np.nan, np.nan, np.nan, 1, 0, np.nan, 0])
    when = Moment("day", 730.5, 365.25)
    assert from_visits(visits, "id", when, ["died"], "file.csv")["died"].tolist() == [1, 0]
    with pytest.raises(InputError, match=r"file\.csv: column ward differs between .* 1 patient"):
        from_visits(visits, "id", when, ["ward"], "file.csv")


@pytest.mark.parametrize(
    ("day", "said"),
    [
        ([0.0, np.nan, *[1.0] * 5], r"column day is empty in 1 row\(s\), the first in row 2"),
        (["2020-01-01"] * 7, "column day holds dates or text, expected the time of the visit"),
        ([9000.0] * 7, "none of 7 visits is at or before 730.5"),
    ],
)
def test_visits_without_a_usable_time_are_refused(day: list[Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        summarise(VISITS.assign(day=pd.Series(day)), "id", "day", 730.5, where="file.csv")


def test_a_patient_twice_is_named_with_its_row() -> None:
    with pytest.raises(InputError, match=r"2 patient.s. of column id .* again in row 2") as raised:
        check_one_row(VISITS, "id", "file.csv")
    assert "\n" not in str(raised.value)
    check_one_row(VISITS.drop_duplicates("id"), "id", "file.csv")
