"""Images and what is to be learned of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Examples:
    """What a strategy learns from.

    Attributes:
        images: uint8 (n, H, W, c), perhaps memory-mapped.
        targets: Class numbers (n,) int, labels (n, k) int of 0 and 1, or real values (n, t) float;
            see `models.imaging.task.kind_of`.
        train: Rows to train on.
        validation: Rows that decide penalties, and when to stop.
        cache: Folder where features of frozen bases are kept; None keeps none.
    """

    images: np.ndarray
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    cache: Path | None = None
