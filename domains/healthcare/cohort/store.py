"""A cohort on disk between the stages of a job: one Parquet file, nothing pickled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.outcomes.targets import Targets
from domains.healthcare.patients import Cohort
from domains.table_file import TableFile

_FEATURE, _TARGET = "feature.", "target."
_PATIENT, _RECORD, _PART = "patient", "record", "part"


def write_cohort(cohort: Cohort, parts: np.ndarray, path: Path) -> Path:
    """Write a cohort and the part of the split that each record falls in, (n,) of names.

    Features that are on disk are copied some rows at a time.
    """
    others = pd.DataFrame(_others(cohort, parts))
    if isinstance(cohort.features, TableFile):
        _copy(cohort.features, pa.Table.from_pandas(others, preserve_index=False), path)
    else:
        features = cohort.features.add_prefix(_FEATURE).reset_index(drop=True)
        pd.concat([features, others], axis=1).to_parquet(path, index=False)
    return path


def read_part(path: Path, outcomes: tuple[Outcome, ...], part: str, every: int = 1) -> Cohort:
    """The records of one part, in their order, or every so many-th of them."""
    kept, start = [], 0
    for piece in feature_pieces(path, part):
        some = piece.iloc[-start % every :: every]
        kept.append(some.copy() if every > 1 else some)  # a view would hold the whole piece
        start += len(piece)
    return replace(
        read_bare(path, outcomes, part, every), features=pd.concat(kept, ignore_index=True)
    )


def read_bare(path: Path, outcomes: tuple[Outcome, ...], part: str, every: int = 1) -> Cohort:
    """The same without a feature: outcomes and whose records they are."""
    columns = [name for outcome in outcomes for name in _columns(outcome)]
    frame = _read(path, part, [*columns, _PATIENT, _RECORD]).iloc[::every]
    return Cohort(
        pd.DataFrame(index=range(len(frame))),
        Targets(outcomes, {o.name: _target(frame, o) for o in outcomes}),
        frame[_PATIENT].to_numpy(dtype=object),
        frame[_RECORD].to_numpy(dtype=object),
    )


def read_targets_of(path: Path, outcomes: tuple[Outcome, ...], part: str) -> Targets:
    """What is known of every outcome in one part; no feature is read."""
    frame = _read(path, part, [name for outcome in outcomes for name in _columns(outcome)])
    return Targets(outcomes, {o.name: _target(frame, o) for o in outcomes})


def feature_pieces(path: Path, part: str) -> Iterator[pd.DataFrame]:
    """Features of one part, in the order of the records, so many records at a time."""
    with pq.ParquetFile(path) as file:
        names = [name for name in file.schema_arrow.names if name.startswith(_FEATURE)]
        plain = [name.removeprefix(_FEATURE) for name in names]
        for number in range(file.num_row_groups):
            table = file.read_row_group(number, columns=[*names, _PART])
            table = table.filter(pc.equal(table[_PART], part)).select(names)
            yield table.rename_columns(plain).to_pandas(ignore_metadata=True)


def _copy(features: TableFile, others: pa.Table, path: Path) -> None:
    writer, start = None, 0
    try:
        for piece in features.pieces():
            beside = others.slice(start, len(piece))
            start += len(piece)
            names = [f"{_FEATURE}{name}" for name in piece.column_names]
            columns = [*piece.columns, *beside.columns]
            table = pa.table(columns, names=[*names, *beside.column_names])
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _others(cohort: Cohort, parts: np.ndarray) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for outcome in cohort.targets.outcomes:
        values = cohort.targets.values[outcome.name]
        columns = values.T if values.ndim == 2 else [values]
        found.update(zip(_columns(outcome), columns, strict=True))
    return found | {_PATIENT: cohort.patients, _RECORD: cohort.records, _PART: parts}


def _columns(outcome: Outcome) -> list[str]:
    column = _TARGET + outcome.name
    return [f"{column}.time", f"{column}.event"] if outcome.kind == "survival" else [column]


def _read(path: Path, part: str, columns: Sequence[str]) -> pd.DataFrame:
    found = pd.read_parquet(path, columns=list(columns), filters=[(_PART, "==", part)])
    return found.reset_index(drop=True)


def _target(frame: pd.DataFrame, outcome: Outcome) -> np.ndarray:
    columns = _columns(outcome)
    if outcome.kind == "survival":
        return frame[columns].to_numpy(dtype=float)
    column = frame[columns[0]]
    if outcome.kind in ("multiclass", "ordinal"):
        labels = column.astype(object)
        return labels.where(labels.notna(), None).to_numpy(dtype=object)
    return column.to_numpy(dtype=float)
