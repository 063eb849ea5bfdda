"""Records as a configuration reads them, for a file that is to be scored."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from domains.table_file import in_memory
from domains.tables import column_names
from pipelines.settings import PatientsConfig
from pipelines.steps.patients.data import declared, locate
from pipelines.steps.patients.tables import own_table, study_of, study_table


def rows_of(config: PatientsConfig, path: Path | None = None) -> pd.DataFrame:
    """One record a row, with the columns that a model of this configuration takes.

    Args:
        config: Of the job that trained the model.
        path: File of visits to read as the job read its own; it needs no outcomes. None: the job's
            own records, outcomes and all.

    Raises:
        InputError: See `pipelines.steps.patients.tables`.
    """
    data, outcomes = config.data, declared(config)
    study = study_of(data)
    if study is not None:
        locate(config)
        trained = in_memory(study_table(study, data).frame)
    else:
        exclude = tuple(config.exclude)
        table = own_table(locate(config), data, data.patient, outcomes, exclude, spelled=True)
        trained = in_memory(table.frame)
    if path is None:
        return trained
    known = {*config.exclude, *(name for outcome in outcomes for name in outcome.columns)}
    aside = tuple(name for name in column_names(path) if name in known)
    like = tuple(map(str, trained.columns))
    return in_memory(own_table(path, data, data.patient, (), aside, like, spelled=True).frame)
