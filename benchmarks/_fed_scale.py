"""One side of `federated`: a logistic layer on a memory-mapped file, every record in every step.

`--rows` are all clients' records together here. The memory that is told is what the process held
beyond the mapped file and what it had before the run.
"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks._fed_job import CLIP, NOISE, RATE, Job, Laps, asked
from models.federated import Client, FedAvg, run
from privacy.plan import PrivacyPlan

_WIDTH, _CHUNK = 64, 1 << 14


def main() -> None:
    """Do the job and tell."""
    torch.set_num_threads(1)
    job, laps = asked(), Laps()
    with tempfile.TemporaryDirectory() as folder:
        clients = mapped_clients(job, Path(folder) / "codes.npy")
        plan = PrivacyPlan(job.rounds + 1, 1, 1.0, 8.0, 1e-5, NOISE, CLIP)
        with Watch() as watch:
            run(nn.Sequential(nn.Linear(_WIDTH, 1)), clients, plan, FedAvg(RATE), laps)
    laps.tell(watch.beyond_mb)


def mapped_clients(job: Job, path: Path) -> list[Client]:
    """Slices of one file, each client's size a few per cent above the one before it."""
    codes = np.lib.format.open_memmap(path, "w+", np.float32, (job.rows, _WIDTH))
    rng = np.random.default_rng(0)
    for start in range(0, job.rows, _CHUNK):
        part = codes[start : start + _CHUNK]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32) / 8
    del codes
    base = torch.from_numpy(np.load(path, mmap_mode="c"))
    shares = np.geomspace(1, 100, job.clients)  # lenders differ a hundredfold
    ends = np.round(np.cumsum(shares) / shares.sum() * job.rows).astype(int)
    starts = [0, *ends[:-1].tolist()]
    made = []
    for number, (start, end) in enumerate(zip(starts, ends.tolist(), strict=True)):
        target = (base[start:end, 0] > 0).float()
        made.append(Client(f"{number:05}", base[start:end], target, float(max(end - start, 1))))
    return made


class Watch:
    """The most memory of this process's own, not of any file, above what it had at first."""

    def __init__(self) -> None:
        self.beyond_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(_own_mb(),))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self, first: float) -> None:
        while not self._done.wait(0.002):
            self.beyond_mb = max(self.beyond_mb, _own_mb() - first)


def _own_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (held,) = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(held) / 1024


if __name__ == "__main__":
    main()
