"""Made-up images for the imaging benchmarks, and turns of both sides."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def made_up(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a square that is brighter in one class than in the other: images, labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 2
    images = rng.integers(0, 120, (count, size, size, 3), dtype=np.uint8)
    images[:, 10:20, 10:20] += (labels * 20).astype(np.uint8)[:, None, None, None]
    return images, labels


def seconds(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Wall seconds of each side, in turn so that a busy minute hits all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for name, run in sides.items():
            started = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                found[name].append(time.perf_counter() - started)
    return found
