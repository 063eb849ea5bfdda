"""From the patients configuration to checked records: built-in data or the user's own file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from domains.dataset import Dataset, digest_file
from domains.healthcare import patient_support2
from domains.healthcare.outcome_spec import Outcome
from domains.healthcare.patients import Cohort, read_cohort
from domains.sources import SOURCES, fetch
from domains.tables import read_table
from pipelines.progress import say
from pipelines.settings import Outcome as OutcomeConfig
from pipelines.settings import PatientsConfig, PatientsData, home_key


@dataclass(frozen=True)
class Loaded:
    """Records of a job, and those of its external test file when there is one.

    `unit` names what is split: the patient column, or the record by what its columns hold.
    """

    dataset: Dataset
    cohort: Cohort
    unit: str
    external: Cohort | None = None
    external_name: str = ""


def locate(config: PatientsConfig) -> Path:
    """The file of the job's records; a built-in set is fetched unless it is cached."""
    return config.data.path or fetch(patient_support2.NAME, progress=say)


def load(config: PatientsConfig, path: Path) -> Loaded:
    """Read and check everything that the configuration names.

    Args:
        config: Of the job.
        path: From `locate`.

    Raises:
        InputError: See `domains.healthcare.patients.read_cohort`.
    """
    outcomes = declared(config)
    built_in = config.data.path is None
    frame = read_table(path)
    patient = config.data.patient or (patient_support2.PATIENT if built_in else None)
    exclude = [*config.exclude, *([config.data.time] if config.data.time else [])]
    exclude += patient_support2.NEVER if built_in else ()
    cohort = read_cohort(frame, outcomes, path.name, exclude=exclude, patient=patient)
    dataset = _dataset(config.data, path, frame, _notes(cohort, patient))
    unit = _unit(frame, patient)
    if config.test is None:
        return Loaded(dataset, cohort, unit)
    there = config.test.path
    # Columns that are no features may be there or not.
    external = read_cohort(
        read_table(there),
        outcomes,
        there.name,
        patient=config.test.patient or patient,
        learn=False,
    )
    digest = digest_file(there, None if dataset.public else home_key())
    note = f"External test: {there.name}, {len(external):,} records, {digest}."
    dataset = replace(dataset, notes=(*dataset.notes, note))
    return Loaded(dataset, cohort, unit, external, there.name)


def _unit(frame: pd.DataFrame, patient: str | None) -> str:
    """A record's id follows its columns and how they are read, and so these are named too."""
    if patient is not None:
        return f"patient column {patient}"
    columns = sorted((str(n), pd.api.types.is_numeric_dtype(t)) for n, t in frame.dtypes.items())
    return f"record of columns {hashlib.blake2b(repr(columns).encode(), digest_size=4).hexdigest()}"


def declared(config: PatientsConfig) -> tuple[Outcome, ...]:
    """The outcomes of the configuration, or those that the built-in set brings."""
    if not config.outcomes:
        return patient_support2.OUTCOMES
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


def _dataset(data: PatientsData, path: Path, frame: pd.DataFrame, notes: list[str]) -> Dataset:
    built_in = data.path is None
    public = built_in or data.public
    source = SOURCES[patient_support2.NAME] if built_in else None
    return Dataset(
        name=data.name or path.name.partition(".")[0],
        path=path,
        digest=digest_file(path, None if public else home_key()),
        rows=len(frame),
        columns=tuple((str(name), str(kind)) for name, kind in frame.dtypes.items()),
        public=public,
        unit="patient",
        licence=source.licence if source else "not stated",
        provenance=source.provenance if source else "a file of the user's own",
        notes=tuple(notes),
    )
