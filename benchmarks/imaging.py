"""Images: what transfer, fine-tuning and many images cost, and what a base is worth with few.

    make bench-imaging ARGS="--quick --json out.json"
    CARELEDGER_BRAIN_MRI=FOLDER make bench-imaging ARGS="--only quality"

`probe`, `tuning` and `memory` are against plain loops of torch: both sides run in one process, on
the same made-up images, net, threads and precision, in turn; the ratio's spread is that of the
turns. Memory is that of a process of its own.

`quality` takes hours and runs where it is named. It is kept repeat by repeat under
CARELEDGER_HOME/benchmarks and goes on from there; with --quick the source task is learned for one
epoch and the target for at most 8.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in a run; read when torch is imported

from benchmarks import _imaging_memory, _imaging_probe, _imaging_quality, _imaging_tuning
from benchmarks._rows import Part, Row, main_of


def probe(quick: bool) -> list[Row]:
    """A probe against a loop that forwards the frozen base every epoch, and against one pass."""
    return _imaging_probe.rows(_repeats(quick), (64,) if quick else (48, 64))


def tuning(quick: bool) -> list[Row]:
    """Fine-tuning against a bare loop."""
    return list(_imaging_tuning.rows(_repeats(quick), 128 if quick else 512))


def memory(_: bool) -> list[Row]:
    """Of 20,000 images."""
    return [_imaging_memory.row()]


def quality(quick: bool) -> list[Row]:
    """AUROC with 20, 50 and all images, five repeats."""
    return _imaging_quality.rows("small" if quick else "full", 5)


def _repeats(quick: bool) -> int:
    return 5 if quick else 7


PARTS = {
    "probe": Part(probe),
    "tuning": Part(tuning),
    "memory": Part(memory),
    "quality": Part(quality, named=True),
}

if __name__ == "__main__":
    main_of(PARTS, "Transfer and fine-tuning on images: cost against plain loops, and quality.")
