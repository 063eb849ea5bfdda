"""Online answers beside `mlflow models serve` of the same version: one record or image a request.

Both servers run at once with their default settings and are loaded in turn by `benchmarks._load`,
at 1, 8 and 64 kept-alive connections. Tables go to both in MLflow's own form; an image goes to the
peer as nested lists of pixels, which is all it takes, and to ours as the PNG file's bytes.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks._ports import free_port
from benchmarks._rows import Row, larger_is_better, smaller_is_better

_CONNECTIONS = (1, 8, 64)
_REPEATS = 9
_PATIENCE = 300
_EXAMPLE = "serving_input_example.json"


@dataclass(frozen=True)
class _Side:
    """A server under load: where it answers, and what it is sent."""

    port: int
    path: str
    kind: str
    body: Path


def online_rows(quick: bool) -> list[Row]:
    """p50, p99 and requests a second at 1, 8 and 64 connections; quick: of credit alone."""
    rows = []
    for pipeline in ("credit",) if quick else ("credit", "patients", "imaging"):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            name = trained(pipeline, home)
            rows += serving_rows(name, home, seconds=1.0 if quick else 2.0)
    return rows


def serving_rows(name: str, home: Path, seconds: float) -> list[Row]:
    """Rows of one model, whose champion is in a home.

    Args:
        name: Registered name.
        home: A `CARELEDGER_HOME`.
        seconds: How long each side is loaded at a time.
    """
    example = _example(name, home)
    with tempfile.TemporaryDirectory() as folder, _serving(name, home) as (ours, theirs):
        sides = _sides(example, Path(folder), ours, theirs)
        for side in sides:
            _load(side, 8, 1.0)  # unmeasured: both are warm
        return [row for count in _CONNECTIONS for row in _compared(name, sides, count, seconds)]


def _compared(name: str, sides: tuple[_Side, _Side], count: int, seconds: float) -> list[Row]:
    taken = [[_load(side, count, seconds) for side in sides] for _ in range(_REPEATS)]
    what = f"{name}, {count} connection{'s' if count > 1 else ''}"
    ours, theirs = zip(*taken, strict=True)
    rows = [
        smaller_is_better(
            f"{what}: {metric}", "ms", [t[metric] for t in ours], [t[metric] for t in theirs]
        )
        for metric in ("p50", "p99")
    ]
    rates = ([t["rate"] for t in ours], [t["rate"] for t in theirs])
    return [*rows, larger_is_better(f"{what}: requests", "1/s", *rates)]


def _load(side: _Side, connections: int, seconds: float) -> dict[str, float]:
    words = (side.port, side.path, side.kind, side.body, connections, seconds)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._load", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def trained(pipeline: str, home: Path) -> str:
    """Train and promote a tiny model; its registered name."""
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "train", pipeline, "--scale", "tiny", "--json"],
        env=_environment(home),
        check=True,
        capture_output=True,
        text=True,
    )
    model = json.loads(done.stdout.splitlines()[-1])["model"]
    code = (
        "import sys; from pipelines.tracking import client;"
        "client().set_registered_model_alias(sys.argv[1], 'champion', sys.argv[2])"
    )
    words = (model["name"], model["version"])  # whatever the gate says of so small a model
    subprocess.run([sys.executable, "-c", code, *words], env=_environment(home), check=True)
    return str(model["name"])


def _example(name: str, home: Path) -> dict[str, Any]:
    """The made-up example that was logged with the champion."""
    code = (
        "import sys; from pipelines import registry;"
        "v = registry.champion(sys.argv[1]); print(v);"
        "print(registry.package_folder(sys.argv[1], v).parent.parent / sys.argv[2])"
    )
    words = [sys.executable, "-c", code, name, _EXAMPLE]
    done = subprocess.run(words, env=_environment(home), check=True, capture_output=True, text=True)
    return dict(json.loads(Path(done.stdout.splitlines()[-1]).read_text()))


def _sides(example: dict[str, Any], folder: Path, ours: int, theirs: int) -> tuple[_Side, _Side]:
    sent = folder / "request.json"
    if "inputs" in example:
        pixels = np.asarray(example["inputs"][:1], dtype=np.uint8)
        sent.write_text(json.dumps({"inputs": pixels.tolist()}))
        picture = folder / "request.png"
        picture.write_bytes(_png(pixels[0]))
        return (
            _Side(ours, "/predict", "image/png", picture),
            _Side(theirs, "/invocations", "application/json", sent),
        )
    table = example["dataframe_split"]
    sent.write_text(json.dumps({"dataframe_split": {**table, "data": table["data"][:1]}}))
    kind = "application/json"
    return _Side(ours, "/invocations", kind, sent), _Side(theirs, "/invocations", kind, sent)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def _serving(name: str, home: Path) -> Iterator[tuple[int, int]]:
    """Ports of both servers, ours and MLflow's."""
    ours, theirs = free_port(), free_port()
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    peer = ["mlflow", "models", "serve", "-m", f"models:/{name}@champion"]
    started = [
        subprocess.Popen(words, env=environment, start_new_session=True, **_QUIET)
        for words, environment in (
            (
                [sys.executable, "-m", "pipelines.cli", "serve", name, "--port", str(ours)],
                _environment(home),
            ),
            (
                [sys.executable, "-m", *peer, "--env-manager", "local", "-p", str(theirs)],
                {**_environment(home), **store, "PATH": path},
            ),
        )
    ]
    try:
        for port in (ours, theirs):
            _wait(port)
        yield ours, theirs
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait(60)


_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def _wait(port: int) -> None:
    for _ in range(10 * _PATIENCE):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise TimeoutError(f"no server answers on port {port}")


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "CARELEDGER_HOME": str(home), "OMP_WAIT_POLICY": "PASSIVE"}
