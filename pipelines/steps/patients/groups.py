"""The columns that results are told apart by: a study's own, or those that the user names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.outcomes.targets import class_names
from domains.healthcare.patients import check_column
from domains.healthcare.slicing import group_names
from domains.table_file import Records
from pipelines.settings import PatientsConfig
from pipelines.steps.patients.tables import study_of

_FILE = "groups.parquet"


def group_columns(config: PatientsConfig, frame: Records, where: str) -> pd.DataFrame:
    """A column a way to tell records apart, a row a record of the data, as text; empty: unknown.

    Of visits that became one row, a column that changes stands for its last value.

    Raises:
        InputError: There is no such column.
    """
    found, study = {}, study_of(config.data)
    for label, column in _wanted(config).items():
        key = "slices" if column in config.slices else "data.site"
        there = next((name for name in (column, f"{column}.last") if name in frame), column)
        check_column(frame, there, f"{where}: {key}")
        names = pd.Series(class_names(frame[there]), dtype=object)
        names = names.where(names.notna(), "").astype(str)
        found[label] = names.replace(dict(study.codes.get(column, {}))) if study else names
    return pd.DataFrame(found, index=range(len(frame)))


def _wanted(config: PatientsConfig) -> dict[str, str]:
    """How a column is called in the report → its name."""
    study = study_of(config.data)
    named = dict(study.groups) if study and not config.slices else {}
    named |= {name: name for name in config.slices}
    if (site := config.data.site) and "site" not in named:
        named["site" if site.lower() == "site" else f"site ({site})"] = site
    return named


def write_groups(
    columns: pd.DataFrame, parts: np.ndarray, records: Path, categories: Collection[str] = ()
) -> None:
    """Keep the test records' groups beside the records; bands of numbers are of training ones, and
    the codes of `categories` are no numbers."""
    train = parts == "train"
    named = {name: group_names(columns[name], train, name in categories) for name in columns}
    frame = pd.DataFrame(named, index=columns.index).loc[parts == "test"]
    frame.to_parquet(records.with_name(_FILE), index=False)


def read_groups(records: Path) -> pd.DataFrame:
    """The groups of the test records, in their order; text."""
    return pd.read_parquet(records.with_name(_FILE))
