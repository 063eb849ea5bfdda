"""Table 1 of a run: a short one in the report, the whole beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from domains.healthcare.cohort.table import MISSING, REFERENCE, Line, table_one
from pipelines.evidence import Cell, Table
from pipelines.steps.patients.prepare import EXTERNAL, Prepared
from pipelines.tracking import Job, client

FOLDER = "tables"
_SHOWN = 12  # features of the report's table
_LEVELS = 6  # of a feature there
_MOST = 50_000  # records of a part that are in memory for it
_FILE = "cohort.csv"


def tables(job: Job, prepared: Prepared, weights: pd.Series) -> list[Table]:
    """Records, outcomes and the features that answers lean on most, by part of the split.

    Args:
        job: Takes the whole table as an artifact.
        prepared: Records.
        weights: How much answers lean on each feature, by its name.
    """
    encoder, codecs = prepared.read_rules()
    every = -(-max(count["records"] for count in prepared.split.values()) // _MOST)
    parts = {part: prepared.read(part, every) for part in prepared.split}
    lines = _counted(prepared) + table_one(parts, encoder, codecs, prepared.dataset.public)
    keep(job, _whole(lines, list(parts)), _FILE)
    most = weights.sort_values(ascending=False, kind="stable").index[:_SHOWN].tolist()
    shown = [line for line in lines if line.name not in encoder.columns or line.name in most]
    left_out = len(encoder.columns) - len(most)
    caption = (
        "Numbers are median [quartiles], levels records (%) of those that are known; missing is of "
        "the training records. Differences are standardised mean differences from the training "
        "records: below 0.1 parts are alike."
    )
    if left_out:
        caption += (
            f" Features are the {len(most)} that answers lean on most; {left_out} more, and every "
            f"level, are in {FOLDER}/{_FILE} among the run's artifacts."
        )
    if every > 1:
        caption += f" Outcomes and features are those of one in {every} records."
    if not prepared.dataset.public:
        caption += " Nothing is told of fewer than five patients, and counts are rounded to five."
    return [_short(shown, list(parts), caption)]


def _counted(prepared: Prepared) -> list[Line]:
    """Records and patients of every part."""
    words = {"records": "records", "patients": "groups"}
    return [
        Line(name, "", {part: f"{count[key]:,}" for part, count in prepared.split.items()})
        for name, key in words.items()
    ]


def keep(job: Job, frame: pd.DataFrame, name: str) -> None:
    """A whole table as an artifact of the run."""
    path: Path = job.folder / name
    frame.to_csv(path, index=False)
    client().log_artifact(job.run_id, str(path), FOLDER)


def _whole(lines: Sequence[Line], parts: list[str]) -> pd.DataFrame:
    apart = {part: f"difference {part}" for part in parts if part != REFERENCE}
    rows = [
        {"variable": line.name, "level": line.level}
        | {part: line.cells[part] for part in parts}
        | {name: line.apart.get(part) for part, name in apart.items()}
        for line in lines
    ]
    return pd.DataFrame(rows)


def _short(lines: Sequence[Line], parts: list[str], caption: str) -> Table:
    apart = [part for part in ("test", EXTERNAL) if part in parts]
    missing = {line.name: line for line in lines if line.level == MISSING}
    rows: list[list[Cell]] = []
    told: dict[str, int] = {}
    for line in lines:
        told[line.name] = told.get(line.name, 0) + 1
        if told[line.name] > _LEVELS or line.level == MISSING:
            continue
        name = f"{line.name}: {line.level}" if line.level else line.name
        row: list[Cell] = [name, *(line.cells[part] for part in parts)]
        if told[line.name] == 1:
            gaps = [line.apart.get(part) for part in apart]
            row += [_share(missing.get(line.name)), *map(_gap, gaps)]
        rows.append([*row, *[None] * (2 + len(parts) + len(apart) - len(row))])
    columns = ["", *parts, "missing", *(f"difference, {part}" for part in apart)]
    return Table("The cohort by part (“Table 1”)", caption, columns, rows, section="data")


def _share(missing: Line | None) -> Cell:
    """Percent of the training records, out of `n (p %)`."""
    if missing is None:
        return None
    told = missing.cells[REFERENCE]
    return told.partition("(")[2].rstrip(")") or told


def _gap(gap: float | None) -> Cell:
    return None if gap is None else f"{gap:.2f}"
