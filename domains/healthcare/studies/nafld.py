"""People with fatty liver and their matches in Olmsted County (Allen et al., 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from domains.healthcare.cohort.schema import Range
from domains.healthcare.cohort.visits import DAYS_A_YEAR, happened_within, summarise
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.studies.study import Study, because

_HORIZON = 5 * DAYS_A_YEAR
_EVENTS = (
    *("MI", "afib", "ang_isc", "cardiac_arrest", "diabetes", "dyslipidemia"),
    *("heart_failure", "htn", "nafld", "stroke"),
)
_DAYS = {event: f"days.{event}" for event in _EVENTS}
_NEVER = {
    **because("the day of an event, after the prediction too", *_DAYS.values()),
    **because("how long the person was followed, and how it ended", "futime", "status"),
    "case.id": "names the person that somebody was matched to",
}
_PRESSURE = (40.0, 300.0)


def _rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Everybody at the index date: measured values and events before it, events after it."""
    people, tests = tables
    frame = people.drop(columns=list(_NEVER)).merge(_measured(tests), on="id", how="left")
    for event, day in _DAYS.items():
        frame[f"{event}.since"] = -people[day].where(people[day] <= 0) / DAYS_A_YEAR
        frame[event] = happened_within(people[day], people["futime"], 0, _HORIZON)
    died = people["futime"].where(people["status"] == 1)
    frame["death"] = happened_within(died, people["futime"], 0, _HORIZON)
    return frame


def _measured(tests: pd.DataFrame) -> pd.DataFrame:
    """Summaries of the values up to the index date.

    The table's `chol` repeats `hdl` value for value, and `dbp` repeats `sbp`: neither is what its
    name says. Two pressures that were run together into one number are no pressure.
    """
    known = tests.loc[~tests["test"].isin(["chol", "dbp"])]
    wrong = (known["test"] == "sbp") & ~known["value"].between(*_PRESSURE)
    known = known.loc[~wrong]
    wide = known.pivot_table(index=["id", "days"], columns="test", values="value", aggfunc="mean")
    return summarise(wide.reset_index().rename_axis(columns=None), "id", "days", 0)


STUDY = Study(
    name="nafld",
    patient="id",
    outcomes=tuple(Outcome(event.lower(), "binary", column=event) for event in ("death", *_EVENTS)),
    never=_NEVER,
    predicted="on the index date, for five years ahead",
    further=("nafld-tests",),
    rows=_rows,
    ranges={
        "age": Range(18, 120, "years"),
        "weight": Range(20, 400, "kg"),
        "height": Range(80, 250, "cm"),
        "bmi": Range(5, 120, "kg/m2"),
        "futime": Range(0, 20_000, "days"),
        "value": Range(0, 20_000),
    },
    groups={"sex": "male", "age": "age"},
    codes={"male": {"0": "women", "1": "men"}},
)
"""Death and ten diseases within five years; unknown where the disease came by the index date, or
the follow-up ended earlier without it."""
