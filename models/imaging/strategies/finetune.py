"""Fine-tuning: every layer of the base trains on, the deeper ones in smaller steps."""

from __future__ import annotations

from models.checkpoint import Checkpoint
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.strategies.learned import Learned, epochs
from models.imaging.tuning import Tell, Tuning, tune


def finetune(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,
) -> Learned:
    """Train the whole net, each block's rate below that of the block above it.

    Rates as in ULMFiT (Howard and Ruder, 2018, arXiv:1801.06146). See `models.imaging.tuning.tune`
    for the arguments.
    """
    history = tune(net, examples, tuning, progress, checkpoint)
    return Learned(f"all layers trained on, {epochs(history)}", history)
