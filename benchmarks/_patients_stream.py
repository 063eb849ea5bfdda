"""A million records of 100 columns and 10 outcomes from Parquet: memory and speed of one epoch.

    python -m benchmarks._patients_stream FILE at-once|from-disk

A process of its own does what `careledger train patients` does, without controls: from the file to
a version that is registered and judged. It tells its own peak in MB, files that it has mapped
included, up to the trained network and in all; the records it prepared and trained on a processor
second; and the processor seconds that judging, explaining and registering took.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._rows import Row, larger_is_better, smaller_is_better

if TYPE_CHECKING:
    from pipelines.steps.patients.prepare import Prepared
    from pipelines.steps.patients.training import Trained
    from pipelines.tracking import Job

LIMIT = 3000.0
_NUMBERS, _CATEGORIES, _PIECE = 80, 20, 50_000
_KINDS = (*["binary"] * 4, "multiclass", "ordinal", "count", "regression", "regression", "survival")


def stream(quick: bool) -> list[Row]:
    """From disk beside all at once, which knows no limit of memory; one run of each."""
    count = 100_000 if quick else 1_000_000
    path = Path(tempfile.gettempdir()) / f"careledger-stream-{count}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        _write(part, count)
        part.replace(path)
    ours, peer = _asked(path, "from-disk"), _asked(path, "at-once")
    what = f"{count:,} × {_NUMBERS + _CATEGORIES} × {len(_KINDS)} from Parquet"
    return [
        smaller_is_better(f"{what}: peak memory up to a trained epoch", "MB", ours[:1], [LIMIT]),
        smaller_is_better("peak memory of the whole job", "MB", ours[1:2], [LIMIT]),
        smaller_is_better("the same beside all at once", "MB", ours[1:2], peer[1:2]),
        larger_is_better("records prepared a processor second", "", ours[2:3], peer[2:3], 0.8),
        larger_is_better("records trained a processor second", "", ours[3:4], peer[3:4], 0.8),
        smaller_is_better("judged, explained and registered in", "CPU s", ours[4:], peer[4:], 0.8),
    ]


def _asked(path: Path, how: str) -> list[float]:
    """What `_run` gives, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks._patients_stream", str(path), how]
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "CARELEDGER_HOME": home, "OMP_NUM_THREADS": "1"}
        said = subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout
    return [float(value) for value in said.split()[-5:]]


def _write(path: Path, count: int) -> None:
    """Numbers and categories, a tenth of them missing, and outcomes of which 40 % are masked."""
    rng, writer = np.random.default_rng(0), None
    weights = rng.normal(0, 0.3, (_NUMBERS, len(_KINDS)))
    for start in range(0, count, _PIECE):
        table = _table(rng, min(_PIECE, count - start), weights)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _table(rng: np.random.Generator, count: int, weights: np.ndarray) -> pa.Table:
    x = rng.normal(size=(count, _NUMBERS))
    columns = {
        f"number{k}": pa.array(np.exp(x[:, k]) if k % 4 == 0 else x[:, k], mask=_some(rng, count))
        for k in range(_NUMBERS)
    }
    for k in range(_CATEGORIES):
        levels = np.array([f"level {level}" for level in range(4 + k)], dtype=object)
        drawn = levels[rng.integers(0, len(levels), count)]
        columns[f"category{k}"] = pa.array(drawn, mask=_some(rng, count))
    scores = x @ weights + rng.normal(size=(count, len(_KINDS)))
    for k, kind in enumerate(_KINDS):
        missing = _some(rng, count, 0.4)
        for name, values in _target(rng, kind, scores[:, k]).items():
            columns[f"y{k}{name}"] = pa.array(values, mask=missing)
    return pa.table(columns)


def _some(rng: np.random.Generator, count: int, share: float = 0.1) -> np.ndarray:
    return rng.random(count) < share


def _target(rng: np.random.Generator, kind: str, score: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of one outcome that follows from a score, (n,)."""
    if kind == "binary":
        return {"": (score > 1).astype(float)}
    if kind in ("multiclass", "ordinal"):
        return {"": np.digitize(score, [-1, 0, 1]).astype(float)}
    if kind == "count":
        return {"": rng.poisson(np.exp(score / 4)).astype(float)}
    if kind == "regression":
        return {"": score}
    time_of, censored = rng.exponential(np.exp(-score)) + 0.1, rng.uniform(0.1, 4, len(score))
    return {
        ".time": np.minimum(time_of, censored),
        ".event": (time_of <= censored).astype(float),
    }


def _config(path: Path) -> dict[str, object]:
    outcomes = [
        {"name": f"y{k}", "kind": kind, "time": f"y{k}.time", "event": f"y{k}.event"}
        if kind == "survival"
        else {"name": f"y{k}", "kind": kind, "column": f"y{k}"}
        for k, kind in enumerate(_KINDS)
    ]
    data = {"path": path, "public": True}
    return {"data": data, "outcomes": outcomes, "epochs": 1, "scale": "small", "controls": "none"}


def _run(path: Path, how: str) -> list[float]:
    """The product's stages; `at-once` lifts the limits above which it goes to disk.

    Returns:
        Peaks in MB up to a trained network and of all, records prepared and trained a processor
        second, and processor seconds of all that came after.
    """
    from domains import table_file
    from pipelines.settings import PatientsConfig
    from pipelines.steps.patients import inputs
    from pipelines.steps.patients.prepare import fetch_data, prepare
    from pipelines.steps.patients.training import train_model
    from pipelines.tracking import open_job

    most = 1 << 50 if how == "at-once" else 0
    config = PatientsConfig.model_validate(_config(path))
    with (
        patch.object(table_file, "MOST_CELLS", most),
        patch.object(inputs, "MOST_BYTES", most),
        open_job("patients", config) as job,
    ):
        started = time.process_time()
        prepared = prepare.fn(job, fetch_data.fn(job))
        spent = time.process_time() - started
        trained = train_model.fn(job, prepared)
        peak, started = _peak(), time.process_time()
        _published(job, prepared, trained)
        after, count = time.process_time() - started, prepared.split["train"]["records"]
        speeds = [prepared.dataset.rows / spent, count / trained.seconds]
        return [peak, _peak(), *speeds, after]


def _published(job: Job, prepared: Prepared, trained: Trained) -> None:
    """The stages that follow training."""
    from models.multitask.scorer import load_scorer
    from pipelines.finish import publish
    from pipelines.steps.patients.evidence import evaluate
    from pipelines.steps.patients.explaining import explain
    from pipelines.steps.patients.held_out import held_out
    from pipelines.steps.patients.served import calibrate

    served = calibrate.fn(job, prepared, trained, [])
    evidence = evaluate.fn(job, prepared, served, [trained])
    evidence = explain.fn(job, prepared, served.package, evidence)
    example = load_scorer(served.package).example()
    publish.fn(job, evidence, served.package, example, held_out(prepared, job.config.seed))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    print(*_run(Path(sys.argv[1]), sys.argv[2]))
