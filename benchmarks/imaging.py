"""Images: what transfer, fine-tuning and many images cost, against plain loops of torch.

    make bench-imaging ARGS="--quick --json out.json"

Both sides run in one process, on the same made-up images, net, threads and precision, in turn; the
ratio's spread is that of the turns. Memory is that of a process of its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in a run; read when torch is imported

from benchmarks import _imaging_memory, _imaging_probe, _imaging_tuning
from benchmarks._rows import Row, main


def measure(quick: bool) -> list[Row]:
    """Probes, fine-tuning, and the memory of 20,000 images."""
    repeats = 5 if quick else 7
    return [
        *_imaging_probe.rows(repeats, (64,) if quick else (48, 64)),
        *_imaging_tuning.rows(repeats, 128 if quick else 512),
        _imaging_memory.row(),
    ]


if __name__ == "__main__":
    main(measure, "Transfer and fine-tuning on images, against plain loops of torch.")
