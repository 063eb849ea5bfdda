"""From the patients configuration to checked records: built-in data or the user's own file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pandas as pd

from domains.dataset import Dataset, digest_file, digest_files
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.patients import Cohort, check_column, read_cohort
from domains.healthcare.studies.study import Study
from domains.sources import SOURCES, fetch
from domains.table_file import Records
from domains.tables import column_names
from pipelines.progress import say
from pipelines.settings import Outcome as OutcomeConfig
from pipelines.settings import PatientsConfig, PatientsData, home_key
from pipelines.settings.patients_data import ExternalTest
from pipelines.steps.patients.groups import group_columns
from pipelines.steps.patients.tables import Table, files_of, own_table, study_of, study_table


@dataclass(frozen=True)
class Loaded:
    """Records of a job, and those of its external test file when there is one.

    `unit` names what is split: the patient column, or the record by what its columns hold. `marks`
    are the site or time of each record, when the split is by one of them. `groups` are what results
    are told apart by, see `pipelines.steps.patients.groups`. `categories` are features that are
    categories whatever they hold.
    """

    dataset: Dataset
    cohort: Cohort
    unit: str
    groups: pd.DataFrame
    marks: pd.Series | None = None
    external: Cohort | None = None
    external_name: str = ""
    categories: tuple[str, ...] = ()


def locate(config: PatientsConfig) -> Path:
    """The file of the job's records; those of a built-in study are fetched unless cached."""
    study = study_of(config.data)
    if study is None:
        return cast(Path, config.data.path)
    first, *_ = [fetch(name, progress=say) for name in study.sources]
    return first


def load(config: PatientsConfig, path: Path) -> Loaded:
    """Read and check everything that the configuration names.

    Args:
        config: Of the job.
        path: From `locate`.

    Raises:
        InputError: See `domains.healthcare.patients.read_cohort`.
    """
    data, outcomes = config.data, declared(config)
    study = study_of(data)
    patient = data.patient or (study.patient if study else None)
    excluded = tuple(config.exclude)
    if study is None:
        table = own_table(path, data, patient, outcomes, excluded)
    else:
        table = study_table(study, data)
    exclude = dict.fromkeys(table.exclude if data.visits else (*excluded, *table.exclude))
    cohort = read_cohort(
        table.frame,
        outcomes,
        path.name,
        exclude=tuple(exclude),
        patient=patient,
        least_events=data.least_events,
        categories=table.categories,
    )
    notes = [*table.notes, *_notes(cohort, patient)]
    loaded = Loaded(
        _dataset(data, path, table.frame, notes),
        cohort,
        _unit(table.frame, patient),
        group_columns(config, table.frame, path.name),
        _marks(table.frame, data, path.name),
        categories=table.categories,
    )
    return loaded if config.test is None else _with_external(loaded, config, patient, table)


def _marks(frame: Records, data: PatientsData, where: str) -> pd.Series | None:
    """Site or time of each record, when the split is by one of them."""
    column = {"site": data.site, "time": data.time}.get(data.split_by)
    if column is None:
        return None
    check_column(frame, column, f"{where}: data.{data.split_by}")
    return frame[column]


def _with_external(
    loaded: Loaded, config: PatientsConfig, patient: str | None, table: Table
) -> Loaded:
    """Read the external test file as the training file was read; what differs is checked later."""
    test = cast(ExternalTest, config.test)
    outcomes, there = loaded.cohort.targets.outcomes, test.path
    patient = test.patient or patient
    aside = [name for name in config.exclude if name in column_names(there)]
    external = own_table(
        there,
        config.data,
        patient,
        outcomes,
        (*aside, *test.exclude),
        like=tuple(map(str, table.frame.columns)),
    )
    unused = (*aside, *test.exclude, *external.exclude, *table.exclude)
    cohort = read_cohort(
        external.frame,
        outcomes,
        there.name,
        exclude=tuple(dict.fromkeys(name for name in unused if name in external.frame)),
        patient=patient,
        learn=False,
    )
    digest = digest_file(there, None if loaded.dataset.public else home_key())
    note = f"External test: {there.name}, {len(cohort):,} records, {digest}."
    dataset = replace(loaded.dataset, notes=(*loaded.dataset.notes, note))
    return replace(loaded, dataset=dataset, external=cohort, external_name=there.name)


def _unit(frame: Records, patient: str | None) -> str:
    """A record's id follows its columns and how they are read, and so these are named too."""
    if patient is not None:
        return f"patient column {patient}"
    columns = sorted((str(n), pd.api.types.is_numeric_dtype(t)) for n, t in frame.dtypes.items())
    return f"record of columns {hashlib.blake2b(repr(columns).encode(), digest_size=4).hexdigest()}"


def declared(config: PatientsConfig) -> tuple[Outcome, ...]:
    """The outcomes of the configuration, or those that the built-in set brings."""
    if not config.outcomes:
        return cast(Study, study_of(config.data)).outcomes
    return tuple(_outcome(outcome) for outcome in config.outcomes)


def _outcome(declared: OutcomeConfig) -> Outcome:
    return Outcome(
        declared.name,
        declared.kind,
        declared.column,
        tuple(declared.positive or ()),
        declared.transform,
        tuple(declared.missing),
        declared.time,
        declared.event,
        tuple(declared.horizons or ()),
        declared.head,
        tuple(declared.levels or ()),
    )


def _notes(cohort: Cohort, patient: str | None) -> list[str]:
    whole = cohort.targets.mask.all(axis=1).mean()
    notes = [f"{whole:.0%} of the records have a label for every outcome; the rest are masked."]
    twins = len(cohort) - len(set(cohort.patients))
    if patient is None:
        notes.append("No patient column was named: every record counts as a patient of its own.")
        if twins:
            notes.append(
                f"{twins} record(s) equal another in every column; equal ones stay together."
            )
    return notes


def _dataset(data: PatientsData, path: Path, frame: Records, notes: list[str]) -> Dataset:
    built_in = data.path is None
    public = built_in or data.public
    source = SOURCES[str(data.name)] if built_in else None
    return Dataset(
        name=data.name or path.name.partition(".")[0],
        path=path,
        digest=digest_files(files_of(data, path), None if public else home_key()),
        rows=len(frame),
        columns=tuple((str(name), str(kind)) for name, kind in frame.dtypes.items()),
        public=public,
        unit="patient",
        licence=source.licence if source else "not stated",
        provenance=source.provenance if source else "a file of the user's own",
        notes=tuple(notes),
    )
