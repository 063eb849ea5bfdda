"""First stages of the patients flow: records fetched, read, checked, split, and written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from domains.dataset import Dataset
from domains.errors import InputError
from domains.healthcare.cohort.features import Encoder, fit_encoder
from domains.healthcare.cohort.filled import mostly_filled
from domains.healthcare.cohort.leakage import suspects
from domains.healthcare.cohort.named_leaks import by_name
from domains.healthcare.cohort.schema import check_like, inferred
from domains.healthcare.cohort.split import LEFT_OUT, Divided, Rule, divide
from domains.healthcare.cohort.store import (
    feature_pieces,
    read_bare,
    read_part,
    read_targets_of,
    write_cohort,
)
from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.outcomes.targets import Targets, known
from domains.healthcare.patients import Cohort
from domains.healthcare.split_name import facts_name
from domains.splits import check_disjoint, split_key
from models.multitask.named import check_groups
from pipelines.governance import seen
from pipelines.progress import say
from pipelines.settings import PatientsConfig, home_key
from pipelines.stages import stage
from pipelines.steps.patients.data import Loaded, load, locate
from pipelines.steps.patients.groups import write_groups
from pipelines.tracking import Job, log_data

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

PARTS = {"train": 0.62, "validation": 0.10, "calibration": 0.08, "test": 0.20}
EXTERNAL = "external"
EVERY = 10**9
BOOSTED = 100_000
_LEAST_LABELS = 10


@dataclass(frozen=True)
class Effort:
    """What a scale spends: epochs, patience, members of a trunk, boosting rounds, training records,
    resamples."""

    epochs: int
    patience: int
    members: int
    rounds: int
    records: int
    repeats: int


EFFORTS = {
    "tiny": Effort(epochs=20, patience=5, members=2, rounds=10, records=1500, repeats=40),
    "small": Effort(epochs=60, patience=6, members=4, rounds=100, records=EVERY, repeats=200),
    "full": Effort(epochs=200, patience=15, members=16, rounds=100, records=EVERY, repeats=500),
}


@dataclass(frozen=True)
class Prepared:
    """Checked and split records, on disk, with what training records fixed about them.

    Attributes:
        dataset: The data.
        records: Parquet of `domains.healthcare.cohort.store`; `external.parquet` lies beside it
            when there is an external test file.
        rules: JSON of encoder and codecs.
        split: Part → records and groups.
        warnings: What a reader should know of the columns.
        unit: What is split, see `Loaded`.
        known: Columns that most training records have → the share of these.
    """

    dataset: Dataset
    records: Path
    rules: Path
    split: dict[str, dict[str, int]]
    warnings: list[str] = field(default_factory=list)
    unit: str = ""
    known: dict[str, float] = field(default_factory=dict)

    def read_rules(self) -> tuple[Encoder, dict[str, Codec]]:
        """Encoder and codecs fitted on the training records."""
        rules = json.loads(self.rules.read_text())
        codecs = [Codec.from_json(values) for values in rules["outcomes"]]
        return Encoder.from_json(rules["features"]), {c.outcome.name: c for c in codecs}

    def read(self, part: str, every: int = 1) -> Cohort:
        """The records of one part, or every so many-th of them."""
        return read_part(self._path(part), self._outcomes(), part, every)

    def bare(self, part: str) -> Cohort:
        """The records of one part without a feature."""
        return read_bare(self._path(part), self._outcomes(), part)

    def targets(self, part: str) -> Targets:
        """What is known of the outcomes in one part; no feature is read."""
        return read_targets_of(self._path(part), self._outcomes(), part)

    def pieces(self, part: str) -> Iterator[pd.DataFrame]:
        """Features of one part, so many records at a time."""
        return feature_pieces(self._path(part), part)

    def _path(self, part: str) -> Path:
        return self.records.with_name("external.parquet") if part == EXTERNAL else self.records

    def _outcomes(self) -> tuple[Outcome, ...]:
        return tuple(codec.outcome for codec in self.read_rules()[1].values())


@stage(retries=2)
def fetch_data(job: Job) -> Path:
    """The file that holds the records; a built-in set is fetched unless it is cached."""
    return locate(job.config)


@stage()
def prepare(job: Job, path: Path) -> Prepared:
    """Read, check and split the records by patient; fix features and targets on training ones.

    Raises:
        InputError: The configuration or the data cannot be used; nothing has been written.
    """
    config: PatientsConfig = job.config
    loaded = load(config, path)
    divided = _split(loaded, config)
    parts = divided.parts
    notes = (*loaded.dataset.notes, *divided.notes)
    loaded = replace(loaded, dataset=replace(loaded.dataset, notes=notes))
    log_data(job, loaded.dataset)
    _remember(job, loaded, parts)
    training = loaded.cohort.take(parts == "train")
    public = loaded.dataset.public
    patients = None if public else training.patients
    encoder = fit_encoder(training.features, patients, loaded.categories)
    codecs = {o.name: _codec(o, training.targets, public) for o in training.targets.outcomes}
    if config.groups:
        check_groups(config.groups, codecs)
    found = suspects(encoder, training.features, training.targets, codecs)
    split = {part: _count(loaded.cohort, parts == part) for part in PARTS}
    if loaded.external is not None:
        differing = config.test.differing if config.test else ()
        schema = inferred(encoder, training.features, differing)
        split[EXTERNAL] = _external(job, loaded, loaded.external, schema)
    say(f"{len(parts)} records, {len(encoder.features)} features, {len(codecs)} outcomes")
    warnings = [suspect.said(public) for suspect in found]
    if config.data.path is not None:  # what a built-in study takes is declared by hand
        warnings += by_name(encoder.columns, [name for name, _ in loaded.dataset.columns])
    if (every := boosted_every(split)) > 1 and wants_controls(config, public):
        warnings.append(
            f"Gradient boosting learns from one in {every} training records, for it needs them in "
            "memory: one that learns from all may be better."
        )
    for warning in warnings:
        say(warning)
    records = write_cohort(loaded.cohort, parts, job.folder / "records.parquet")
    write_groups(loaded.groups, parts, records, config.data.categories)
    return Prepared(
        dataset=loaded.dataset,
        records=records,
        rules=_write_rules(job.folder / "rules.json", encoder, codecs),
        split=split,
        warnings=warnings,
        unit=_unit(loaded, divided, config),
        known=mostly_filled(training.features, public),
    )


def _split(loaded: Loaded, config: PatientsConfig) -> Divided:
    """Part of each record; at the tiny scale all but so many training records are out."""
    data = config.data
    key = split_key(config.seed, None if loaded.dataset.public else home_key())
    rule = Rule(data.split_by, tuple(data.test_sites), data.test_from)
    where = loaded.dataset.path.name
    divided = divide(loaded.cohort.patients, loaded.marks, rule, PARTS, key, where)
    for part in PARTS:
        if not (divided.parts == part).any():
            raise InputError(
                f"{where}: {len(divided.parts)} records leave none for {part}, for those of a "
                "patient stay together; bring more patients, or check data.patient and "
                "data.split_by"
            )
    rows = np.flatnonzero(divided.parts == "train")
    divided.parts[rows[EFFORTS[config.scale].records :]] = LEFT_OUT
    return divided


def _unit(loaded: Loaded, divided: Divided, config: PatientsConfig) -> str:
    """What is split, and how: equal names mean that a record stands on the same side."""
    if not divided.facts:
        return f"{loaded.unit}, {PARTS['test']:.0%} test"
    secret = None if loaded.dataset.public else home_key()
    facts = facts_name(divided.facts, config.seed, secret)
    return f"{loaded.unit}, held out by {config.data.split_by} ({facts})"


def _remember(job: Job, loaded: Loaded, parts: np.ndarray) -> None:
    cohort, external = loaded.cohort, loaded.external
    seen.remember(job, loaded.dataset.name, parts, cohort.patients, cohort.records)
    if external is not None:
        everyone = np.full(len(external), EXTERNAL, dtype=object)
        seen.remember(job, loaded.external_name, everyone, external.patients, external.records)


def _codec(outcome: Outcome, targets: Targets, public: bool) -> Codec:
    values = targets.values[outcome.name]
    labelled = values[known(values)]
    labels = labelled[:, 1] if outcome.kind == "survival" else labelled
    if len(labels) < _LEAST_LABELS or len(set(labels.tolist())) < (outcome.kind != "survival") + 1:
        raise InputError(
            f"outcome {outcome.name}: {len(labels)} labels of {len(set(labels.tolist()))} kind(s) "
            f"among the {len(values)} training records, expected at least {_LEAST_LABELS} of at "
            "least two; leave the outcome out, or bring more records"
        )
    codec = fit_codec(outcome, values, public)
    for column in codec.columns:
        if codec.columns.count(column) > 1:
            raise InputError(
                f"outcome {outcome.name}: two of its answers would be called {column}; expected "
                "horizons that differ in six digits, levels named once, and none called 'expected'"
            )
    return codec


def _external(
    job: Job, loaded: Loaded, external: Cohort, schema: DataFrameSchema
) -> dict[str, int]:
    """Check the external test file's columns and patients, write it, and count it."""
    check_like(external.features, schema, loaded.external_name)
    check_disjoint(
        np.append(loaded.cohort.patients, external.patients),
        np.repeat(["the data", "the external test file"], [len(loaded.cohort), len(external)]),
        "patient",
        loaded.external_name,
    )
    everyone = np.full(len(external), EXTERNAL, dtype=object)
    write_cohort(external, everyone, job.folder / "external.parquet")
    return _count(external, everyone == EXTERNAL)


def _write_rules(path: Path, encoder: Encoder, codecs: dict[str, Codec]) -> Path:
    outcomes = [codec.to_json() for codec in codecs.values()]
    path.write_text(json.dumps({"features": encoder.to_json(), "outcomes": outcomes}))
    return path


def _count(cohort: Cohort, rows: np.ndarray) -> dict[str, int]:
    return {"records": int(rows.sum()), "groups": len(np.unique(cohort.patients[rows]))}


def boosted_every(split: Mapping[str, Mapping[str, int]]) -> int:
    """Of a job's training and validation records every so many-th is for gradient boosting, which
    needs them in memory: all, unless more than `BOOSTED` train."""
    return -(-split["train"]["records"] // BOOSTED)


def wants_controls(config: PatientsConfig, public: bool) -> bool:
    """Whether controls are trained: on public data unless told not to, never on private data."""
    return public and config.controls != "none"
