"""One row a patient: made of visits, or demanded of a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.cohort.columns import check_features
from domains.healthcare.cohort.visits import changing, summarise
from domains.healthcare.outcomes.targets import class_names
from domains.table_file import Records


@dataclass(frozen=True)
class Moment:
    """When predictions are made.

    Attributes:
        time: Column of the visit's time, a number.
        until: Prediction time on the same scale.
        year: What a year is in its unit.
    """

    time: str
    until: float
    year: float


def from_visits(
    visits: pd.DataFrame,
    patient: str,
    moment: Moment,
    same: Sequence[str],
    where: str,
    like: Collection[str] | None = None,
    categories: Collection[str] = (),
) -> pd.DataFrame:
    """One row a patient with a visit up to the prediction time.

    Args:
        visits: One row a visit.
        patient: Column of the patient id.
        moment: When predictions are made.
        same: Columns that hold one value a patient, whenever it was recorded: outcomes, site.
        where: Name of the file, for messages.
        like: Columns of the rows that another file gave: then the same are made of this one.
            None: a column that never changes up to then gives its last value alone, and every
            column is checked for whether it can be a feature.
        categories: Columns of codes: they have no trend.

    Raises:
        InputError: A column of `same` differs between visits of one patient, a time is missing or
            no number, or a column cannot be a feature.
    """
    for name in same:
        _check_same(visits, name, patient, where)
    measured = visits.drop(columns=list(same))
    if like is None:
        check_features(measured.drop(columns=[patient, moment.time]), where, categories)
    for name in (name for name in categories if name in measured):
        measured[name] = class_names(measured[name])
    if like is None:
        moving = set(changing(measured, patient, moment.time, moment.until, where))
    else:
        moving = {str(name) for name in measured if f"{name}.last" in like}
    rows = summarise(
        measured,
        patient,
        moment.time,
        moment.until,
        plain={*map(str, measured)} - moving - {patient, moment.time},
        year=moment.year,
        like=like,
        where=where,
    )
    return rows.join(visits.groupby(patient)[list(same)].first(), on=patient)


def check_one_row(frame: Records, patient: str, where: str) -> None:
    """Raise InputError when a patient stands in the table twice."""
    column = frame[patient]
    again = column.duplicated() & column.notna()
    if again.any():
        second = int(np.flatnonzero(again)[0]) + 1
        raise InputError(
            f"{where}: {column[again].nunique()} patient(s) of column {patient} stand "
            f"in more than one row, the first again in row {second}, expected one row each; keep "
            "one row, name data.visits, or leave data.one_row out"
        )


def _check_same(visits: pd.DataFrame, name: str, patient: str, where: str) -> None:
    differing = int((visits.groupby(patient)[name].nunique() > 1).sum())
    if differing:
        raise InputError(
            f"{where}: column {name} differs between the visits of {differing} patient(s), "
            "expected one value a patient, for visits become one row; bring it to one, or leave "
            "data.visits out"
        )
