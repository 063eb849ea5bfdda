"""Batch scoring beside the bare model call on the same records, already in memory.

Rows a second of one core: both sides are timed by the processor time of one process. A whole
scoring reads, checks, predicts, writes, hashes the input and keeps its parts; the bare call only
predicts. Memory is the peak of a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks._online import trained
from benchmarks._rows import Row, larger_is_better, smaller_is_better

_TABLES = {"credit": ("sba", 400_000), "patients": ("support2", 200_000)}
_GOALS = {"table": 0.5, "images": 0.9}
_IMAGES, _SIDE = 2000, 64
_REPEATS = 5
_GROWTH = 0.9  # of the ratio of two peaks: a tenth is what repeats differ by


def scoring_rows(quick: bool) -> list[Row]:
    """Rows a second against the bare call; peak memory of many rows against that of few."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for pipeline, (source, count) in _TABLES.items():
            name = trained(pipeline, Path(folder) / "home")
            rows += _table_rows(Path(folder), name, source, count // 4 if quick else count)
        if not quick:
            rows += [_image_row(Path(folder), trained("imaging", Path(folder) / "home"))]
        rows.append(_memory_row(Path(folder), quick))
    return rows


def _table_rows(folder: Path, name: str, source: str, count: int) -> list[Row]:
    rows = []
    for kind in ("csv", "parquet"):
        table = _write(folder / f"{source}.{kind}", source, count)
        found = _child(folder, "pace", name, table, folder / f"scored.{kind}")
        rows.append(_pace(f"{name}, {kind} in, {kind} out", "table", found))
        table.unlink()
    return rows


def _image_row(folder: Path, name: str) -> Row:
    images, draws = folder / "images", np.random.default_rng(0)
    images.mkdir()
    for number in range(_IMAGES):
        pixels = draws.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / f"{number:05d}.png")
    return _pace(
        f"{name}, PNG files", "images", _child(folder, "pace", name, images, folder / "i.csv")
    )


def _pace(what: str, kind: str, found: dict[str, Any]) -> Row:
    return larger_is_better(what, "/s", found["whole"], found["bare"], _GOALS[kind])


def _memory_row(folder: Path, quick: bool) -> Row:
    few, many = (100_000, 1_000_000) if quick else (1_000_000, 10_000_000)
    peaks = []
    for count in (many, few):
        table = _write(folder / f"{count}.parquet", "sba", count)
        found = _child(folder, "peak", "credit-sba", table, folder / "many.parquet")
        peaks.append(found["peak"])
        table.unlink()
    what = f"peak memory: {many:.0e} rows, {few:.0e} rows"
    return smaller_is_better(what, "MB", [peaks[0]], [peaks[1]], goal=_GROWTH)


def _write(path: Path, source: str, count: int) -> Path:
    """A table of the source's records over and over, written in pieces."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    from domains.sources import fetch

    frame = pd.read_parquet(fetch(source)).head(min(count, 100_000))
    piece = pa.Table.from_pandas(frame, preserve_index=False)
    make = {".csv": pyarrow.csv.CSVWriter, ".parquet": pyarrow.parquet.ParquetWriter}[path.suffix]
    with make(path, piece.schema) as writer:
        left = count
        while left > 0:
            writer.write_table(piece.slice(0, left))
            left -= len(piece)
    return path


def _child(folder: Path, what: str, name: str, source: Path, output: Path) -> dict[str, Any]:
    environment = {**os.environ, "CARELEDGER_HOME": str(folder / "home")}
    words = [sys.executable, "-m", "benchmarks._scoring", what, name, str(source), str(output)]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _measure(what: str, name: str, source: Path, output: Path) -> dict[str, Any]:
    """In a process of its own: rows a second of both sides, or the peak of one scoring in MB."""
    import torch

    from pipelines.governance.versions import load_version, resolve
    from pipelines.scoring.batch import score_file
    from pipelines.settings import ScoreConfig

    torch.set_num_threads(1)
    config = ScoreConfig(model=name, input=source, output=output)
    if what == "peak":
        score_file(config)
        return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    scorer = load_version(*resolve(name)).scorer
    records = _records(source, [field.name for field in scorer.fields])
    sides: dict[str, list[float]] = {"bare": [], "whole": []}
    for _ in range(_REPEATS):  # in turn, so that a busy moment meets both
        for side, act in (
            ("bare", lambda: scorer.predict(records)),
            ("whole", lambda: score_file(config)),
        ):
            started = time.process_time()
            act()
            sides[side].append(len(records) / (time.process_time() - started))
    return sides


def _records(source: Path, columns: list[str]) -> Any:
    """The same records as arrays or a typed table."""
    from domains.tables import read_table

    if source.is_dir():
        return np.stack([np.asarray(Image.open(path)) for path in sorted(source.iterdir())])
    return read_table(source, columns)


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
