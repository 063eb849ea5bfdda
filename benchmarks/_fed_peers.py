"""Peers of `federated` that bring other versions of what this house needs: an environment each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domains.fetching import cache_folder, locked

ROOT = Path(__file__).resolve().parents[1]
PEERS = {
    "flower": ("torch==2.13.0", "numpy==2.4.6", "flwr[simulation]==1.41.0"),
    "pfl": ("torch==2.13.0", "numpy==2.4.6", "pfl==0.6.0"),
}
"""What each is installed with, torch first: left to the peer it brings gigabytes of CUDA."""
_PATIENCE = 1200


@dataclass(frozen=True)
class Told:
    """What one process said of its job.

    Attributes:
        wall, cpu: Median seconds of a round; of the processor's, this process's own.
        peak_mb: Most memory it held.
        parts: Share of a round by name, where it was asked for.
    """

    wall: float
    cpu: float
    peak_mb: float
    parts: dict[str, float]


class Missing(Exception):
    """A peer that cannot be installed here, and why."""


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment in the cache folder, made once.

    Raises:
        Missing: The package index does not serve it.
    """
    folder = cache_folder() / "peers" / peer
    folder.parent.mkdir(exist_ok=True)
    python, done = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(PEERS[peer])
    with locked(folder):
        if not done.exists() or done.read_text() != wanted:
            print(f"installing {', '.join(PEERS[peer])} …", file=sys.stderr)
            venv.create(folder, with_pip=True, clear=True)
            for package in PEERS[peer]:
                _install(python, package)
            done.write_text(wanted)
    return python


def _install(python: Path, package: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", package]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        last = (ended.stderr.strip() or "no reason given").splitlines()[-1]
        raise Missing(f"pip install {package}: {last}")


def do(
    side: str,
    kind: str = "",
    peer: str | None = None,
    *,
    clients: int = 10,
    rows: int = 3000,
    rounds: int = 10,
) -> Told:
    """Have a process of its own do one side's job: `benchmarks._fed_SIDE`.

    Raises:
        Missing: The peer's environment cannot be made.
        RuntimeError: The process failed.
    """
    python = python_of(peer) if peer else Path(sys.executable)
    words = [f"--clients={clients}", f"--rows={rows}", f"--rounds={rounds}", f"--kind={kind}"]
    return ask(python, f"benchmarks._fed_{side}", words, f"{side} {kind}")


def ask(python: Path, module: str, words: Sequence[str], name: str) -> Told:
    """Have a process of its own run a module, and read the last line that it prints.

    Raises:
        RuntimeError: The process failed; `name` says which.
    """
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    ended = subprocess.run(
        [python, "-m", module, *words],
        cwd=ROOT,
        env={**os.environ, **quiet, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{name}: {ended.stderr.strip()[-2000:]}")
    return Told(**json.loads(ended.stdout.strip().splitlines()[-1]))
