"""A job's tables as one record a row: a built-in study's, or the user's own file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from domains.healthcare.cohort.rows import Moment, check_one_row, from_visits
from domains.healthcare.cohort.schema import Range, check_ranges
from domains.healthcare.few import in_words
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.outcomes.targets import read_targets
from domains.healthcare.patients import check_column, patient_ids
from domains.healthcare.studies import find
from domains.healthcare.studies.study import Study
from domains.sources import fetch
from domains.table_file import Records, TableFile, open_table
from domains.tables import column_names, read_table
from pipelines.settings import PatientsData


@dataclass(frozen=True)
class Table:
    """Records to read a cohort from.

    Attributes:
        frame: One row a record; a large Parquet file is read a column at a time.
        exclude: Columns of it that are no features.
        notes: What was done, in plain words.
        categories: Columns of it that are categories whatever they hold.
    """

    frame: Records
    exclude: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def study_of(data: PatientsData) -> Study | None:
    """The built-in study that a configuration names; None for a file of the user's own."""
    return find(str(data.name)) if data.path is None else None


def files_of(data: PatientsData, path: Path) -> list[Path]:
    """Every file that the records come from, `path` first."""
    source = study_of(data)
    return [path, *(fetch(name) for name in source.further)] if source else [path]


def study_table(source: Study, data: PatientsData) -> Table:
    """A study's records, its declared ranges checked."""
    tables = [read_table(fetch(name)) for name in source.sources]
    for name, table in zip(source.sources, tables, strict=True):
        check_ranges(table, source.ranges, name)
    frame = source.rows(tables)
    marks = [name for name in (data.site, data.time) if name]
    exclude = [name for name in source.never if name in frame]
    note = f"Predictions are made {source.predicted}."
    return Table(frame, (*exclude, *marks), notes=(note,))


def own_table(
    path: Path,
    data: PatientsData,
    patient: str | None,
    outcomes: tuple[Outcome, ...],
    exclude: tuple[str, ...] = (),
    like: Collection[str] | None = None,
    spelled: bool = False,
) -> Table:
    """The records of a user's file; visits become one row a patient when the data say how.

    Args:
        path: CSV or Parquet.
        data: How it is read.
        patient: Column of the patient id.
        outcomes: What is predicted.
        exclude: Columns that are no features, left out before visits are summarised.
        like: Columns of the training file's `Table`, when this is a further one.
        spelled: Whether ids in a CSV file keep their zeros, for whoever reads them again.

    Raises:
        InputError: See the functions used here.
    """
    whole = data.visits is not None or like is not None or spelled
    as_text = {patient} if spelled and patient in column_names(path) else set()
    frame = read_table(path, as_text=as_text) if whole else open_table(path)
    where = path.name
    _check_named(frame, data, patient, where)
    codes = tuple(data.categories)
    for name in codes if like is None else ():
        check_column(frame, name, f"{where}: data.categories")
    check_ranges(frame, {name: Range(*pair) for name, pair in data.ranges.items()}, where)
    marks = tuple(name for name in (data.site, data.time) if name and name in frame)
    if data.one_row and patient:
        check_one_row(frame, patient, where)
    if data.visits is None or patient is None or isinstance(frame, TableFile):
        return Table(frame, (*exclude, *marks), _several(frame, patient), codes)
    columns = [(name, f"outcome {o.name}") for o in outcomes for name in o.columns]
    for name, key in [*columns, *((name, "exclude") for name in exclude)]:
        check_column(frame, name, f"{where}: {key}")
    read_targets(frame, outcomes, where, learn=False)  # for its errors, which name the file's rows
    same = list(dict.fromkeys((*(name for name, _ in columns), *marks)))
    when = Moment(data.visits.time, data.visits.until, data.visits.year)
    kept = frame.drop(columns=[name for name in exclude if name not in same])
    rows = from_visits(kept, patient, when, same, where, like, codes)
    last = tuple(name for code in codes for name in (code, f"{code}.last") if name in rows)
    return Table(rows, marks, _summarised(frame, rows, patient, when, data.public), last)


def _check_named(frame: Records, data: PatientsData, patient: str | None, where: str) -> None:
    """Raise InputError when a column that the data need is not there."""
    named = [(patient, "data.patient"), (data.visits and data.visits.time, "data.visits.time")]
    for column, key in named:
        if column:
            check_column(frame, column, f"{where}: {key}")
    if patient:
        patient_ids(frame[patient], where)  # for its error: visits of nobody would be lost


def _several(frame: Records, patient: str | None) -> tuple[str, ...]:
    if patient is None:
        return ()
    counts = frame[patient].value_counts()
    several = int((counts > 1).sum())
    if not several:
        return ()
    return (
        f"{several:,} of {len(counts):,} patients have more than one record; all records of a "
        "patient are kept on one side of the split.",
    )


def _summarised(
    frame: pd.DataFrame, rows: pd.DataFrame, patient: str, when: Moment, public: bool
) -> tuple[str, ...]:
    everyone = frame[patient].nunique()
    later = int((frame[when.time] > when.until).sum())
    notes = [
        f"{len(frame) - later:,} visits up to {when.time} {when.until:g} became one row for each "
        f"of {len(rows):,} patients; {later:,} later visits are no part of any feature."
    ]
    if without := everyone - len(rows):
        told = in_words(without, without, public)
        notes.append(f"{told.capitalize()} patients without a visit by then were left out.")
    return tuple(notes)
