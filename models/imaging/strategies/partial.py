"""Partial fine-tuning: the last blocks of the base train on, the others stay frozen."""

from __future__ import annotations

from models.checkpoint import Checkpoint
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.strategies.learned import Learned, epochs
from models.imaging.tuning import Tell, Tuning, tune


def partial(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,
    *,
    blocks: int = 4,
) -> Learned:
    """Train the head and the last blocks: early layers see edges, which are the same everywhere.

    See `models.imaging.tuning.tune` for the other arguments.

    Args:
        blocks: How many of the last blocks train (Yosinski et al., 2014, arXiv:1411.1792); 0 is the
            head alone, trained by steps.
    """
    history = tune(net, examples, tuning, progress, checkpoint, lambda _: blocks)
    there = len(net.backbone.blocks)
    what = f"the last {blocks} of {there} blocks" if blocks < there else f"all {there} blocks"
    return Learned(f"{what} trained on, {epochs(history)}", history)
