"""The job that every side of `federated` does: made-up records, the net, and what is measured."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WIDTHS = (24, 64, 32, 1)
BATCH, STEPS, RATE = 256, 12, 0.1
NOISE, CLIP = 1.0, 1.0


@dataclass(frozen=True)
class Job:
    """How much of it.

    Attributes:
        clients, rows: How many, and records of each.
        rounds: Exchanges, after one that is not counted.
        kind: Which way of doing it, where a side has several.
    """

    clients: int
    rows: int
    rounds: int
    kind: str


def asked() -> Job:
    """The job that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--kind", default="")
    return Job(**vars(parser.parse_args()))


def records(job: Job, client: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, 24) and outcomes (rows,) of one client, float32."""
    rng = np.random.default_rng(client)
    x = rng.standard_normal((job.rows, WIDTHS[0]), dtype=np.float32)
    y = x[:, 0] - x[:, 1] + rng.standard_normal(job.rows) > 0
    return x, y.astype(np.float32)


class Laps:
    """Seconds between one round and the next; the first round is not counted."""

    def __init__(self) -> None:
        self._at: list[tuple[float, float]] = []
        self.parts: dict[str, float] = {}

    def __call__(self, *_: object) -> None:
        """A round has ended."""
        self._at.append((time.perf_counter(), time.process_time()))

    def tell(self, peak_mb: float | None = None) -> None:
        """Print the median round and the most memory this process has had, as one line of JSON."""
        wall, cpu = np.median(np.diff(self._at, axis=0), axis=0).tolist()
        told = {"wall": wall, "cpu": cpu, "peak_mb": peak_mb or _peak_mb(), "parts": self.parts}
        print(json.dumps(told))


def _peak_mb() -> float:
    """Not what getrusage says, which a process takes over from the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (held,) = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(held) / 1024


def main(work: Callable[[Job, Laps], None]) -> None:
    """Do the job that the command line names and tell how long a round took."""
    laps = Laps()
    work(asked(), laps)
    laps.tell()
