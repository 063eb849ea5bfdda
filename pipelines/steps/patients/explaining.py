"""What answers rest on: columns' shares over test records, and of single records of public data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from domains.healthcare.cohort.features import Number
from models.multitask.explaining import Shares, explained
from models.multitask.scorer import PatientsScorer, load_scorer
from pipelines.evidence import Cell, Evidence, Figure, Table
from pipelines.reporting import figures
from pipelines.reporting.heat import parts_of_whole
from pipelines.stages import stage
from pipelines.steps.patients import cohort
from pipelines.steps.patients.cohort import FOLDER, keep
from pipelines.steps.patients.prepare import Prepared
from pipelines.tracking import Job

SECTION = "explained"
RECORDS = {"tiny": 40, "small": 200, "full": 500}
"""Test records whose answers are explained, by scale."""
_ORDERS = 8
_MOST = 250_000  # made-up rows that are answered for it: wide tables have fewer records explained
_EACH, _ROWS, _NAMED = 4, 16, 5  # columns an outcome in the figure, in all, and in a sentence
_SHOWN = 8  # columns of single records
_FILE = "explained.csv"


@stage()
def explain(job: Job, prepared: Prepared, package: Path, evidence: Evidence) -> Evidence:
    """The evidence with what moves the packed model's answers, and with who stands in which part.

    Args:
        job: Takes whole tables as artifacts.
        prepared: Records.
        package: Of the model, as it will be served.
        evidence: What is known of it.
    """
    scorer: PatientsScorer = load_scorer(package)
    count = prepared.split["test"]["records"]
    drawn = _drawn(count, len(scorer.encoder.columns), job)
    shares = explained(scorer, _taken(prepared, drawn), _ORDERS)
    part = _by_outcome(shares)
    keep(job, part.rename_axis("column").reset_index(), _FILE)
    folder = job.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    single = (
        _single_records(folder, scorer, prepared)
        if prepared.dataset.public
        else _made_up(folder, scorer)
    )
    table_one = cohort.tables(job, prepared, part.mean(axis=1))
    return replace(
        evidence,
        figures=[*evidence.figures, _heat(folder, part, len(drawn)), *single[0]],
        tables=[*evidence.tables, _table(shares), *single[1], *table_one],
        remarks=evidence.remarks | {SECTION: [_method(len(drawn), count)]},
    )


def _drawn(count: int, columns: int, job: Job) -> np.ndarray:
    most = min(RECORDS[job.config.scale], max(_MOST // (_ORDERS * (columns + 1)), 20), count)
    return np.sort(np.random.default_rng(job.config.seed).choice(count, most, replace=False))


def _taken(prepared: Prepared, places: np.ndarray) -> pd.DataFrame:
    """Features of some test records, in the order asked for, (k,)."""
    found, start = [], 0
    for piece in prepared.pieces("test"):
        piece.index = pd.RangeIndex(start, start + len(piece))
        found.append(piece[piece.index.isin(places)])
        start += len(piece)
    return pd.concat([piece for piece in found if len(piece)]).loc[places]


def _by_outcome(shares: Shares) -> pd.DataFrame:
    """Column by outcome: its part of all columns' mean shares, each outcome adding up to 1."""
    size = pd.DataFrame(shares.by_outcome(), index=list(shares.columns))
    return size / size.sum().where(size.sum() > 0, 1.0)


def _method(explained_records: int, of: int) -> str:
    return (
        f"Over {explained_records:,} of the {of:,} test records. A column's share is what an "
        "answer moves by when the column goes from its typical value to the record's own, averaged "
        f"over {_ORDERS} orders in which columns do so (Shapley values). A record's shares "
        "add up to its distance from the typical record. They tell how the model answers, not what "
        "causes an outcome; columns that say the same divide a share."
    )


def _heat(folder: Path, part: pd.DataFrame, records: int) -> Figure:
    most = {name for outcome in part for name in part[outcome].nlargest(_EACH).index}
    order = part.loc[list(most)].mean(axis=1).sort_values(ascending=False, kind="stable")
    shown = part.loc[order.index[:_ROWS]]
    path = parts_of_whole(
        folder / "explained.png", shown.to_numpy(), list(shown.index), list(shown.columns)
    )
    title = "Which columns move which outcome"
    caption = (
        "Each column of the figure is an outcome: of all that moves its answers away from the "
        f"typical record, how many percent come from each feature; mean over {records:,} test "
        "records. Features of little weight everywhere are left out."
    )
    return Figure("explained", title, caption, path)


def _table(shares: Shares) -> Table:
    scales = {answer.outcome: answer.scale for answer in shares.answers}
    rows: list[list[Cell]] = []
    for outcome, size in shares.by_outcome().items():
        order = np.argsort(-size, kind="stable")[:_NAMED]
        told = ", ".join(f"{shares.columns[k]} {size[k]:.2g}" for k in order)
        rows.append([outcome, scales[outcome], told])
    return Table(
        "What moves each outcome most",
        "Mean size of a column's share, on the scale that is named; all columns are in "
        f"{FOLDER}/{_FILE} among the run's artifacts, each as its part of the whole.",
        ["outcome", "scale", "columns"],
        rows,
        section=SECTION,
    )


# ------------------------------------------------------------------------------ single records

Shown = tuple[list[Figure], list[Table]]


def _single_records(folder: Path, scorer: PatientsScorer, prepared: Prepared) -> Shown:
    """The test records in the twentieth from either end by the first outcome."""
    column = _first(scorer)
    pieces = (scorer.predict(piece)[column] for piece in prepared.pieces("test") if len(piece))
    answers = np.concatenate([piece.to_numpy() for piece in pieces])
    order = np.argsort(answers, kind="stable")
    places = [int(order[round(at * (len(order) - 1))]) for at in (0.95, 0.05)]
    names = [f"test record {place + 1}" for place in places]
    chosen = _taken(prepared, np.array(places))
    shares = explained(scorer, chosen)
    told = ", ".join(f"{name}: {answers[p]:.3g}" for name, p in zip(names, places, strict=True))
    caption = (
        f"What moves {column} from the typical record's, in {_scale(shares, column)}, for a record "
        f"that is answered high and one that is answered low ({told})."
    )
    most, values = _most(shares, column)
    figure = _figure(folder, column, caption, most, dict(zip(names, values, strict=True)))
    rows: list[list[Cell]] = [
        [
            name,
            *(cell for k in (0, 1) for cell in (_value(chosen, k, name), _moved(values[k][name]))),
        ]
        for name in most
    ]
    columns = ["column", names[0], "moves it by", names[1], "moves it by"]
    table = Table(f"Two records and {column}", "A dash: missing.", columns, rows, section=SECTION)
    return [figure], [table]


def _made_up(folder: Path, scorer: PatientsScorer) -> Shown:
    """A record of nobody: every number at its ninth decile, all else typical."""
    record = scorer.encoder.typical()
    for feature in scorer.encoder.features:
        if isinstance(feature, Number) and feature.values:
            record[feature.name] = feature.values[int(0.9 * (len(feature.values) - 1))]
    column, shares = _first(scorer), explained(scorer, record)
    caption = (
        f"What moves {column} from the typical record's, in {_scale(shares, column)}, for a record "
        "that is made up: every number at the ninth decile of its quantiles. Of private records "
        "none is shown."
    )
    most, values = _most(shares, column)
    return [_figure(folder, column, caption, most, {"made-up record": values[0]})], []


def _first(scorer: PatientsScorer) -> str:
    """Predicted column of the first outcome that is answered by one probability, else the first."""
    kinds = {name: codec.outcome.kind for name, codec in scorer.codecs.items()}
    names = [name for name, kind in kinds.items() if kind == "binary"] or list(kinds)
    return scorer.codecs[names[0]].columns[0]


def _scale(shares: Shares, column: str) -> str:
    return next(answer.scale for answer in shares.answers if answer.column == column)


def _most(shares: Shares, column: str) -> tuple[list[str], list[dict[str, float]]]:
    """The columns with the largest shares in any of the records, and all shares by record."""
    place = [answer.column for answer in shares.answers].index(column)
    values = shares.values[:, :, place]
    order = np.argsort(-np.abs(values).max(axis=0), kind="stable")[:_SHOWN]
    every = [dict(zip(shares.columns, row.tolist(), strict=True)) for row in values]
    return [shares.columns[k] for k in order], every


def _figure(
    folder: Path, column: str, caption: str, most: Sequence[str], by: dict[str, dict[str, float]]
) -> Figure:
    rows = [(name, own[name], None, None, series) for name in most for series, own in by.items()]
    path = folder / "explained_records.png"
    figures.bars(path, rows, "share", 0.0, "typical record")
    return Figure("explained-records", f"Single records and {column}", caption, path)


def _moved(share: float) -> str:
    """Signed, and a share that rounds to nothing as nothing: trees give traces of 1e-8.

    >>> _moved(1.2345), _moved(-2.6e-8)
    ('+1.234', '+0.000')
    """
    return f"{round(share, 3) + 0.0:+.3f}"


def _value(records: pd.DataFrame, row: int, name: str) -> Cell:
    value = records[name].iloc[row]
    if pd.isna(value):
        return None
    return f"{value:.4g}" if isinstance(value, int | float | np.number) else str(value)
