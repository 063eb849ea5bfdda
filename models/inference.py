"""Batches for small nets: quick, and one record's answer does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

ROWS = 4096  # of a few hundred features, they stay in a core's cache
_STEP = 16


def batches(x: np.ndarray) -> Iterator[tuple[Tensor, int]]:
    """Rows of x in batches, and how many rows of each are real.

    A matrix product takes the last few rows of a batch through other instructions, which round
    otherwise: with rows of zeros at the end every real one is computed alike, whatever it came
    with.

    Args:
        x: (n, width) float32.
    """
    for start in range(0, len(x), ROWS):
        part = x[start : start + ROWS]
        padded = np.zeros((-(-len(part) // _STEP) * _STEP, x.shape[1]), dtype=x.dtype)
        padded[: len(part)] = part
        yield torch.from_numpy(padded), len(part)
