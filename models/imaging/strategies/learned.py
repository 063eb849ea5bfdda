"""What a strategy hands back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.training import FitHistory


@dataclass(frozen=True)
class Learned:
    """What a strategy did; the net it was given holds the weights.

    Attributes:
        what: What was trained, in words that follow the base's own.
        history: Of the training; one step without epochs where there were none.
        outputs: Logits (n, k) of all images, where they are known anyway.
    """

    what: str
    history: FitHistory
    outputs: np.ndarray | None = None


def epochs(history: FitHistory) -> str:
    """`best of 8 epochs: 5`."""
    return f"best of {history.epochs} epochs: {history.best_epoch}"
