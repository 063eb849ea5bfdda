"""Repeated visits as one row a patient, as it stood at a declared prediction time.

Nothing recorded after that time is looked at, so nothing after it can change a feature.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from domains.errors import InputError

DAYS_A_YEAR = 365.25
VISITS, SINCE = "visits.count", "visits.since"
_STATISTICS = ("last", "trend", "count", "since")


def summarise(
    visits: pd.DataFrame,
    patient: str,
    time: str,
    until: float,
    *,
    plain: Collection[str] = (),
    year: float = DAYS_A_YEAR,
    like: Collection[str] | None = None,
    where: str = "visits",
) -> pd.DataFrame:
    """One row a patient who had a visit up to `until`, sorted by patient.

    Of each column: `COLUMN.last` value up to then, `.trend` (least-squares slope a year, of at
    least two times), `.count` of values, and `.since` (years since the last value). Text has no
    trend. Of all: `visits.count` and `visits.since`. A column of `plain` gives its last value
    alone, under its own name.

    Args:
        visits: One row a visit, in any order; at equal times the later row counts as the last.
        patient: Column of the patient id.
        time: Column of the visit's time, a number; any origin.
        until: Prediction time, on the same scale; a visit at that time counts.
        plain: Columns that hardly change, whose last value says all.
        year: What a year is in the unit of `time`.
        like: Trends, counts and times to give; None: those that are not the same for everyone.
        where: Name of the file, for messages.

    Raises:
        InputError: A visit without a time, a time that is no number, or no visit up to `until`.
    """
    early = _up_to(visits, patient, time, until, where)
    groups = early.groupby(patient, sort=True)
    out = pd.DataFrame(index=pd.Index(groups[time].last().index, name=patient))
    out[VISITS], out[SINCE] = groups.size(), (until - groups[time].last()) / year
    made = [out]
    for name in early.columns.drop([patient, time]):
        if name in plain:
            made.append(groups[name].last().to_frame())
        else:
            made.append(_of_column(early, name, patient, time, until, year))
    return _chosen(pd.concat(made, axis=1), like).reset_index()


def _chosen(frame: pd.DataFrame, like: Collection[str] | None) -> pd.DataFrame:
    """Last values, and those summaries that are wanted, or else tell patients apart."""
    made = frame.columns.str.endswith((".trend", ".count", ".since"))
    telling = (
        (frame.nunique(dropna=False) > 1).to_numpy()
        if like is None
        else frame.columns.isin(list(like))
    )
    return frame.loc[:, ~made | telling]


def changing(
    visits: pd.DataFrame, patient: str, time: str, until: float, where: str = "visits"
) -> list[str]:
    """Columns that hold different values in visits of one patient up to `until`."""
    early = _up_to(visits, patient, time, until, where)
    most = early.drop(columns=time).groupby(patient).nunique().max()
    return [str(name) for name in most.index[most > 1]]


def happened_within(
    first: pd.Series, followed: pd.Series, start: float, length: float
) -> np.ndarray:
    """Whether an event came within a time after the prediction, (n,): 1, 0, NaN where unknown.

    Unknown means: it had come by `start` already, or the follow-up ended before `start + length`
    without it.

    Args:
        first: Time of the first event; NaN where none was seen.
        followed: End of the follow-up.
        start: Prediction time.
        length: How long after it.
    """
    end = start + length
    came = first.to_numpy(dtype=float, na_value=np.nan)
    out = np.where(followed.to_numpy(dtype=float) >= end, 0.0, np.nan)
    out[(came > start) & (came <= end)] = 1.0
    out[came <= start] = np.nan
    return out


def _up_to(visits: pd.DataFrame, patient: str, time: str, until: float, where: str) -> pd.DataFrame:
    """Visits up to the prediction time, by patient and time."""
    check_times(visits, time, where)
    early = visits.loc[visits[time] <= until]
    if early.empty:
        raise InputError(
            f"{where}: none of {len(visits)} visits is at or before {until:g}, the earliest in "
            f"column {time} is later; give another data.visits.until"
        )
    return early.sort_values([patient, time], kind="stable")


def check_times(visits: pd.DataFrame, time: str, where: str) -> None:
    """Raise InputError unless every visit has a time that is a number."""
    if not pd.api.types.is_numeric_dtype(visits[time].dtype):
        raise InputError(
            f"{where}: column {time} holds dates or text, expected the time of the visit as a "
            "number, like days since a patient's first visit"
        )
    empty = np.flatnonzero(visits[time].isna())
    if len(empty):
        raise InputError(
            f"{where}: column {time} is empty in {len(empty)} row(s), the first in row "
            f"{empty[0] + 1}; give every visit its time, or leave the row out"
        )


def _of_column(
    early: pd.DataFrame, name: str, patient: str, time: str, until: float, year: float
) -> pd.DataFrame:
    """All statistics of one column, indexed by patient; NaN where a patient has no value."""
    filled = early.loc[early[name].notna(), [patient, time, name]]
    groups = filled.groupby(patient, sort=True)
    everyone = early[patient].drop_duplicates()
    made = {"last": groups[name].last()}
    if pd.api.types.is_numeric_dtype(filled[name].dtype):
        made["trend"] = _slope(filled, name, patient, time) * year
    made["count"] = groups.size().reindex(everyone, fill_value=0)
    made["since"] = (until - groups[time].last()) / year
    frame = pd.DataFrame({f"{name}.{which}": made[which] for which in _STATISTICS if which in made})
    return frame.reindex(everyone)


def _slope(filled: pd.DataFrame, name: str, patient: str, time: str) -> pd.Series:
    """Least-squares slope of each patient's values over time; NaN for fewer than two times."""
    of = filled[patient]
    x = filled[time].astype(float) - filled.groupby(patient)[time].transform("mean")
    y = filled[name].astype(float) - filled.groupby(patient)[name].transform("mean")
    spread = (x * x).groupby(of).sum()
    return (x * y).groupby(of).sum() / spread.where(spread > 0)
