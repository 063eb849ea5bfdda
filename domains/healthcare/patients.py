"""Patients' records with masked outcomes of mixed kinds: what is a feature, what a target."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.cohort.columns import check_features
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.outcomes.targets import Targets, read_targets
from domains.row_ids import plain_id, row_ids
from domains.table_file import Records, TableFile

Features = TypeVar("Features", bound=Records)


@dataclass(frozen=True)
class Cohort(Generic[Features]):
    """Records of patients.

    Attributes:
        features: Raw feature columns, (n, …); of a large file they stay on disk.
        targets: Every outcome, masked where unknown.
        patients: Patient of each record, (n,): equal ids stay together.
        records: Id of each record, (n,), the same for the same record in every run.
    """

    features: Features
    targets: Targets
    patients: np.ndarray
    records: np.ndarray

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: np.ndarray) -> Cohort:
        """Some of the records, by position or bool mask."""
        return Cohort(
            _taken(self.features, np.arange(len(self))[rows]),
            self.targets.take(rows),
            self.patients[rows],
            self.records[rows],
        )

    def joined(self: Cohort[pd.DataFrame], other: Cohort[pd.DataFrame]) -> Cohort[pd.DataFrame]:
        """These records and then the other's, with these features."""
        names = list(self.features.columns)
        features = pd.concat([self.features, other.features.reindex(columns=names)])
        values = {
            name: np.concatenate([mine, other.targets.values[name]])
            for name, mine in self.targets.values.items()
        }
        return Cohort(
            features.reset_index(drop=True),
            Targets(self.targets.outcomes, values),
            np.append(self.patients, other.patients),
            np.append(self.records, other.records),
        )


def _taken(features: Records, places: np.ndarray) -> Records:
    if isinstance(features, TableFile):
        return features.take(places)
    return features.iloc[places].reset_index(drop=True)


def read_cohort(
    frame: Records,
    outcomes: Sequence[Outcome],
    where: str,
    *,
    exclude: Sequence[str] = (),
    patient: str | None = None,
    learn: bool = True,
    least_events: int = 1,
    categories: Collection[str] = (),
) -> Cohort:
    """Tell features from targets, and check both.

    No outcome's own columns are features of any outcome, nor is the patient id.

    Args:
        frame: Raw records.
        outcomes: What to predict.
        where: Name of the file, for messages.
        exclude: Further columns that are not features.
        patient: Column of the patient id; None: each record is a patient of its own, known by
            its content, so that identical records stay together and row order does not matter.
        learn: Whether the records are to be learned from, and not only judged by: then labels
            must differ and features must hold something.
        least_events: Fewest records of yes, and of no, that an outcome is learned from.
        categories: Features that are categories whatever they hold.

    Raises:
        InputError: A named column does not exist, a target or feature cannot be used, or no
            feature is left.
    """
    named = [(c, f"outcome {o.name}") for o in outcomes for c in o.columns]
    named += [(column, "exclude") for column in exclude]
    named += [(patient, "data.patient")] if patient else []
    for column, key in named:
        unknown = not learn and key.startswith("outcome ")
        check_column(frame, column, f"{where}: {key}", _UNKNOWN if unknown else "")
    features = frame.drop(columns=list(dict.fromkeys(column for column, _ in named)))
    if not len(features.columns):
        raise InputError(f"{where}: no column is left as a feature; shorten exclude")
    targets = read_targets(frame, outcomes, where, learn=learn, least=least_events)
    if learn:
        check_features(features, where, categories)
    records = row_ids(frame)
    patients = records if patient is None else patient_ids(frame[patient], where)
    return Cohort(features, targets, patients, records)


_UNKNOWN = "; where nobody knows the outcome, add the column and leave its cells empty"


def check_column(frame: Records, column: str, place: str, way_out: str = "") -> None:
    """Raise InputError when a column does not exist; names the nearest ones."""
    if column in frame.columns:
        return
    names = [str(name) for name in frame.columns]
    folded = {name.lower(): name for name in names}
    near = difflib.get_close_matches(column.lower(), folded, n=3, cutoff=0.6)
    hint = ", ".join(folded[name] for name in near) if near else ", ".join(names[:8]) + " …"
    raise InputError(
        f"{place}: no column {column!r}; {'did you mean' if near else 'there are'} {hint}{way_out}"
    )


def patient_ids(column: pd.Series, where: str) -> np.ndarray:
    """Patient of each record as `plain_id` has it, (n,); InputError when a record has none."""
    empty = np.flatnonzero(column.isna())
    if len(empty):
        raise InputError(
            f"{where}: patient column {column.name} is empty in {len(empty)} row(s), the first in "
            f"row {empty[0] + 1}; give every record its patient"
        )
    codes, seen = pd.factorize(column)
    return np.array([plain_id(value) for value in seen], dtype=object)[codes]
