"""LP-FT: a linear probe first, then fine-tuning from it."""

from __future__ import annotations

from dataclasses import replace

from models.checkpoint import Checkpoint
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.strategies.learned import Learned, epochs
from models.imaging.strategies.transfer import probe
from models.imaging.tuning import Tell, Tuning, tune


def lp_ft(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,
) -> Learned:
    """Fine-tune all layers under the head that fits the frozen base best.

    A head of zeros or noise distorts the base in the first steps, which costs accuracy on images
    unlike the training ones (Kumar et al., ICLR 2022, arXiv:2202.10054). The head is good already
    and takes steps no larger than the base's last block. See `models.imaging.tuning.tune` for the
    arguments.
    """
    _, head = probe(net, examples, tuning)
    even = replace(tuning, learning_rate=tuning.learning_rate * tuning.base_rate, base_rate=1.0)
    history = tune(net, examples, even, progress, checkpoint)
    what = f"head fitted to the frozen base first (L2 penalty {head.penalty:g}), then all layers"
    return Learned(f"{what} trained on, {epochs(history)}", history)
