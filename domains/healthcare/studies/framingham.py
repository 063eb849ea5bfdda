"""Framingham Heart Study, teaching version: up to three examinations, then 24 years of events."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from domains.healthcare.cohort.schema import Range
from domains.healthcare.cohort.visits import DAYS_A_YEAR, happened_within, summarise
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.studies.study import Study, because

LANDMARK = 4380.0
"""Day at which predictions are made: twelve years in, when most people's third examination is
just over."""

_HORIZON = 10 * DAYS_A_YEAR
_TIMES = {
    "ANYCHD": "TIMECHD",
    "STROKE": "TIMESTRK",
    "CVD": "TIMECVD",
    "HYPERTEN": "TIMEHYP",
    "DEATH": "TIMEDTH",
}
_NEVER = {
    **because("an event of the whole follow-up, after the prediction too", *_TIMES),
    **because("the day of an event, or of the end of follow-up", *_TIMES.values()),
    **because(
        "an event of the whole follow-up, or its day, that is part of an outcome",
        *("ANGINA", "HOSPMI", "MI_FCHD", "TIMEAP", "TIMEMI", "TIMEMIFC"),
    ),
    "PERIOD": "the number of the examination, which visits.count tells",
    "TIME": "the day of the examination, which visits.since tells",
}
# What a person is, or has had: the last examination says all.
_PLAIN = (
    *("AGE", "SEX", "educ", "CURSMOKE", "DIABETES", "BPMEDS"),
    *("PREVCHD", "PREVAP", "PREVMI", "PREVSTRK", "PREVHYP"),
)


def _rows(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """People known to be alive at the landmark, their examinations up to it, what came after."""
    (visits,) = tables
    visits = visits.loc[visits["TIMEDTH"] > LANDMARK]
    people = visits.groupby("RANDID").first()
    known = visits.drop(columns=[name for name in _NEVER if name != "TIME"])
    frame = summarise(known, "RANDID", "TIME", LANDMARK, plain=_PLAIN)
    for event, day in _TIMES.items():
        first = people[day].where(people[event] == 1)
        followed = people["TIMEDTH"].where(people[event] == 1, people[day])
        label = happened_within(first, followed, LANDMARK, _HORIZON)
        frame[event] = frame["RANDID"].map(pd.Series(label, index=people.index))
    return frame


STUDY = Study(
    name="framingham",
    patient="RANDID",
    outcomes=tuple(Outcome(event.lower(), "binary", column=event) for event in _TIMES),
    never=_NEVER,
    predicted="on day 4,380 of the study, for ten years ahead",
    rows=_rows,
    ranges={
        "AGE": Range(20, 110, "years"),
        "TOTCHOL": Range(50, 1000, "mg/dl"),
        "SYSBP": Range(50, 350, "mmHg"),
        "DIABP": Range(20, 200, "mmHg"),
        "CIGPDAY": Range(0, 150, "cigarettes a day"),
        "BMI": Range(10, 100, "kg/m2"),
        "HEARTRTE": Range(20, 300, "a minute"),
        "GLUCOSE": Range(20, 1000, "mg/dl"),
        "TIME": Range(0, 8766, "days"),
    },
    groups={"sex": "SEX", "age": "AGE"},
    codes={"SEX": {"1": "men", "2": "women"}},
)
"""Coronary disease, stroke, any cardiovascular disease, hypertension and death within ten years
after the landmark, among the people alive at it; unknown where the person had it before, or was
lost to follow-up or died earlier without it."""
