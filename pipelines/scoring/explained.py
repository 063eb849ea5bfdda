"""What every column adds to a model's answers to one patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.row_ids import plain_id
from models.multitask.explaining import Shares, explained
from pipelines.governance.versions import load_version, resolve
from pipelines.scoring.batch import open_source
from pipelines.scoring.pieces import Source
from pipelines.settings import ScoreConfig

_ORDERS = 64
_MOST = 20  # records of one patient


@dataclass(frozen=True)
class Answer:
    """One answer to one record.

    Attributes:
        outcome: Its name.
        answer: Predicted column.
        scale: Of all that follows: `log-odds`, `logarithm`, or `its own unit`.
        typical: To the typical record, that is nobody's.
        value: To this one: `typical` and all of `columns` together.
        columns: What each raw column adds, the largest first.
    """

    outcome: str
    answer: str
    scale: str
    typical: float
    value: float
    columns: dict[str, float]


@dataclass(frozen=True)
class Explained:
    """Records of one patient, as one version answers them.

    Attributes:
        model, version: Which.
        records: Every answer to each of the patient's records, in the file's order.
    """

    model: str
    version: str
    records: list[list[Answer]]


def explain_patient(model: str, path: Path, row: str, id_column: str | None = None) -> Explained:
    """The Shapley values of all columns, for one patient of a file; nothing is written or kept.

    Args:
        model: MODEL (its champion), MODEL@alias or MODEL/version.
        path: CSV or Parquet.
        row: The patient's id, or the row's number, from 1, where the file has no ids.
        id_column: Default: that of the training data, else row numbers.

    Raises:
        InputError: No such version, or one of no patients; no such file or patient; the patient has
            more than twenty records; or a record cannot be answered.
    """
    loaded = load_version(*resolve(model))
    if loaded.kind != "patients":
        raise InputError(
            f"{loaded.name} is a model of {loaded.kind}, expected one of patients; "
            "`careledger score --reasons` has what raises the risk of a loan"
        )
    if not path.exists():
        raise InputError(f"{path}: no such file to explain a patient of")
    config = ScoreConfig(model=model, input=path, output=path, id=id_column)
    found = list(_found(open_source(loaded, config), plain_id(row), path))
    if not 0 < len(found) <= _MOST:
        raise InputError(
            f"{path}: {len(found)} rows are of the patient asked for, expected 1 to {_MOST}; "
            "name the id as the file spells it, its column under --id, or a row's number"
        )
    scorer: Any = loaded.scorer
    shares = explained(scorer, pd.concat(found, ignore_index=True), _ORDERS)
    records = [_answers(shares, values) for values in shares.values]
    return Explained(loaded.name, loaded.version, records)


def _found(source: Source, wanted: str, path: Path) -> Iterator[pd.DataFrame]:
    """The rows of one patient, one by one."""
    for piece in source.pieces():
        ids = [plain_id(value) for value in piece.ids.to_pylist()]
        for row in np.flatnonzero(np.array(ids, dtype=object) == wanted).tolist():
            if row in piece.reasons:
                raise InputError(f"{path}: that patient cannot be answered: {piece.reasons[row]}")
            place = int(np.searchsorted(piece.kept, row))
            yield piece.records.iloc[[place]]


def _answers(shares: Shares, values: np.ndarray) -> list[Answer]:
    """Of one record's shares, (columns, answers)."""
    made = []
    for k, answer in enumerate(shares.answers):
        order = np.argsort(-np.abs(values[:, k]), kind="stable")
        columns = {shares.columns[place]: float(values[place, k]) for place in order}
        typical = float(shares.typical[k])
        value = typical + float(values[:, k].sum())
        made.append(Answer(answer.outcome, answer.column, answer.scale, typical, value, columns))
    return made
