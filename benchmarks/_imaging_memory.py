"""Peak memory of 20,000 images of 128 × 128: read, kept, passed once, a head fitted, a net tuned.

    python -m benchmarks._imaging_memory FOLDER

The process tells its own peak, in MB, files that it has mapped included.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks._rows import Row, smaller_is_better

COUNT, SIZE, LIMIT = 20_000, 128, 3000.0
_TUNED = 256


def row() -> Row:
    """The peak against the limit; one run, for it hardly varies."""
    with TemporaryDirectory() as folder:
        _write(Path(folder) / "made-up.npz")
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks._imaging_memory", folder],
            check=True,
            capture_output=True,
            text=True,
        )
    what = f"peak memory, {COUNT:,} images of {SIZE} × {SIZE}"
    return smaller_is_better(what, "MB", [float(said.stdout.split()[-1])], [LIMIT])


def _write(file: Path) -> None:
    """A file as MedMNIST makes them, a tenth of it for validation and a tenth for test."""
    rng, arrays = np.random.default_rng(0), {}
    for part, share in (("train", 8), ("val", 1), ("test", 1)):
        count = COUNT * share // 10
        arrays[f"{part}_images"] = rng.integers(0, 255, (count, SIZE, SIZE), dtype=np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    np.savez(file, allow_pickle=False, **arrays)


def _run(folder: Path) -> None:
    """What a training does with its images, by the project's own parts."""
    from domains.healthcare.imaging import Request, prepare
    from domains.splits import split_key
    from models.imaging.backbones import Classifier, build
    from models.imaging.examples import Examples
    from models.imaging.strategies import make
    from models.imaging.tuning import Tuning

    request = Request(kind="medmnist", path=folder / "made-up.npz")
    data = prepare(request, folder / "set", SIZE, split_key(0, None))
    rows = (data.rows("train"), data.rows("validation"))
    examples = Examples(data.images(), data.labels(), *rows, folder / "features")
    net = Classifier(build("resnet18", SIZE, seed=0), 2)
    make("transfer")(net, examples, Tuning(1))
    few = replace(examples, train=rows[0][:_TUNED], validation=rows[1][:_TUNED])
    make("finetune")(net, few, Tuning(1))


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
