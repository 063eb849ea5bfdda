"""Score one file, folder or manifest with one version of a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from mlflow.exceptions import MlflowException

from domains.errors import InputError
from domains.tables import column_names
from domains.unseen import counted, told
from models.credit_decision import DECISION, decisions
from pipelines.governance.versions import Loaded, load_version, resolve
from pipelines.progress import say
from pipelines.scoring import record, seen
from pipelines.scoring.images import ImageSource
from pipelines.scoring.judged import image_part, told_unlike
from pipelines.scoring.output import STAMPS, kind_of, publish, rejects_of
from pipelines.scoring.pieces import ID, REASON, Piece, Source, ahead
from pipelines.scoring.record import Act, Pace
from pipelines.scoring.tables import TableSource
from pipelines.scoring.workspace import Workspace, workspace
from pipelines.settings import ScoreConfig, home_key
from pipelines.tracking import client

Result = dict[str, Any]
_FORMAT = 6  # of the parts: another one starts afresh
_ROWS = {"imaging": 256}
_TABLE_ROWS = 1 << 16


def score_file(config: ScoreConfig, flow_run: str | None = None) -> Result:
    """Score an input into an output: one row a row, in order.

    The alias is resolved once; a scoring that was cut short goes on if it still means the same
    version and the same data, and starts over otherwise.

    Args:
        config: `input` and `output` are files, or a folder of images and a file.
        flow_run: The scheduled run that this belongs to, which nobody watches.

    Returns:
        `model`, `rows`, `scored`, `rejected`, `output`, `rejects`, `warnings`, `data`, `seconds`.

    Raises:
        InputError: No such version; the input is missing, damaged, empty or lacks a column; or the
            output is of an unknown kind or being written.
        Interrupted: The disk is full.
    """
    started = time.monotonic()
    act = Act(config, flow_run, named(config.model))
    try:
        result = _score(config, act)
    except BaseException as error:
        record.failed(act, error)
        raise
    seconds = round(time.monotonic() - started, 3)
    record.done(act, seconds)
    return {**result, "seconds": seconds}


def _score(config: ScoreConfig, act: Act) -> Result:
    check_places(config.input, config.output)
    act.model, act.version = resolve(config.model)
    loaded = load_version(act.model, act.version)
    source = open_source(loaded, config)
    with workspace(config.output) as work:
        return _work(config, act, loaded, source, work)


def _work(config: ScoreConfig, act: Act, loaded: Loaded, source: Source, work: Workspace) -> Result:
    say(f"reading {config.input.name} once for its digest")
    before, act.state = _state(config.input), seen.state(config.input)
    act.digest = source.digest(home_key())
    listed = isinstance(source, ImageSource) and config.input.is_file()
    act.content = seen.content(config.input) if listed else act.digest
    key = {
        "format": _FORMAT,
        "model": loaded.name,
        "version": loaded.version,
        "digest": act.digest,
        "names": source.names(),
        "rows": rows_of(loaded, config),
        "reasons": config.reasons,
    }
    act.run_id = _open(work, key, act)
    try:
        _fill(loaded, source, work, config.reasons)
        if _state(config.input) != before:
            raise InputError(
                f"{config.input}: changed while it was read; run again when it is whole"
            )
    except InputError:
        work.discard()  # the input is damaged: mended it is another one
        raise
    stamp = dict(zip(STAMPS, (loaded.name, loaded.version, act.digest), strict=True))
    made = publish(work, stamp)
    act.rows, act.rejected = made.rows, made.rejected
    unlike = told_unlike(made.unlike, made.rows - made.rejected)
    known = getattr(loaded.scorer, "known", None)
    unseen = told(made.unseen, made.rows - made.rejected, known)
    act.warnings = [*unseen, *unlike, *source.remarks()]
    work.discard()
    return {
        "model": {"name": loaded.name, "version": loaded.version},
        "rows": act.rows,
        "scored": act.rows - act.rejected,
        "rejected": act.rejected,
        "output": str(config.output),
        "rejects": str(rejects_of(config.output)) if act.rejected else None,
        "warnings": act.warnings,
        "data": {"digest": act.digest},
    }


def _part(scorer: Any, piece: Piece, reasons: bool) -> pa.Table:
    """A piece scored, as it is kept."""
    if hasattr(scorer, "judge"):
        return image_part(scorer, piece)
    if not len(piece.kept):
        return piece.table(None, scorer.outputs, _texts(scorer, piece, None, reasons))
    predictions, marks = scorer.predict_noting(piece.records)
    texts = _texts(scorer, piece, predictions, reasons)
    return piece.table(predictions, scorer.outputs, texts, counted(marks))


def _texts(
    scorer: Any, piece: Piece, predictions: pd.DataFrame | None, reasons: bool
) -> pd.DataFrame | None:
    """The decision, of a model with a threshold; and reasons in words, where they are asked for, or
    cost next to nothing: of a scorecard."""
    if predictions is None:
        predictions = pd.DataFrame(columns=list(scorer.outputs), dtype=float)
    decided, made = decisions(scorer, predictions), []
    if decided is not None:
        made.append(pd.DataFrame({DECISION: decided}, predictions.index, dtype=object))
    if reasons or getattr(scorer, "quick_reasons", False):
        made.append(scorer.explain(piece.records))
    return pd.concat(made, axis=1) if made else None


def named(reference: str) -> str:
    """The model's name in MODEL, MODEL@alias or MODEL/version."""
    return reference.partition("@")[0].partition("/")[0]


def _state(path: Path) -> tuple[int, int, int]:
    """Number, size and time of a file: they tell whether it was replaced or written to."""
    found = path.stat()
    return (0, 0, 0) if path.is_dir() else (found.st_ino, found.st_size, found.st_mtime_ns)


def _open(work: Workspace, key: dict[str, Any], act: Act) -> str:
    """Take over what is left of the same scoring, or start afresh; returns the MLflow run."""
    kept = work.kept()
    if kept is not None and kept["key"] == key:
        say(f"going on after {work.finished} finished pieces")
        return record.begin(act, kept["run"])
    if kept is not None:
        record.drop(kept["run"])
    run_id = record.begin(act, None)
    work.begin({"key": key, "run": run_id})
    return run_id


def _fill(loaded: Loaded, source: Source, work: Workspace, reasons: bool) -> None:
    """Score the pieces that are still missing."""
    scorer, pace = loaded.scorer, Pace("images" if loaded.kind == "imaging" else "rows")
    for number, piece in enumerate(ahead(source.pieces(work.finished)), work.finished):
        work.keep(number, _part(scorer, piece, reasons))
        pace.add(len(piece.ids))


def check_places(source: Path, output: Path) -> None:
    """Raise InputError where input and output cannot be what they are said to be."""
    kind_of(output)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder to score")
    if output.is_dir():
        raise InputError(f"{output}: a folder, expected the name of a file to write")
    for written in (output, rejects_of(output)):
        if written.exists() and written.samefile(source):
            raise InputError(f"{written}: input and output are one file; choose another output")
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}: no such folder; make it, or choose another output")


def open_source(loaded: Loaded, config: ScoreConfig) -> Source:
    """The input, of the kind that the model takes; InputError where it is of another."""
    if config.reasons and not hasattr(loaded.scorer, "explain"):
        raise InputError(f"{loaded.name} gives no reason codes; leave --reasons out")
    taken = {ID, REASON, *STAMPS} & set(loaded.scorer.outputs)
    if taken:
        raise InputError(
            f"{loaded.name}: predicts a column {taken.pop()!r}, which every output has already; "
            "train it with an outcome of another name"
        )
    rows = rows_of(loaded, config)
    if loaded.kind == "imaging":
        if config.id is not None:
            raise InputError("images are named by their paths; leave --id out")
        scorer: Any = loaded.scorer
        return ImageSource(config.input, config.image, scorer.image_size, rows, scorer.reading)
    if config.image is not None:
        raise InputError(f"{loaded.name} takes tables, not images; leave --image out")
    if config.input.is_dir():
        raise InputError(f"{config.input}: a folder, expected a table of rows for {loaded.name}")
    id_column = config.id or _known_id(loaded, config.input)
    return TableSource(config.input, loaded.scorer.fields, id_column, rows, loaded.name)


def rows_of(loaded: Loaded, config: ScoreConfig) -> int:
    """Rows a piece."""
    return config.chunk or _ROWS.get(loaded.kind, _TABLE_ROWS)


def _known_id(loaded: Loaded, path: Path) -> str | None:
    """The column that named borrowers or patients when the version was trained, if it is here."""
    try:
        known = client().get_run(loaded.run_id).data.params
    except MlflowException:  # a run that was deleted: its version still answers
        return None
    named = {known.get("data.id", "None"), known.get("data.patient", "None")} - {"None"}
    return next((name for name in named if name in column_names(path)), None)
