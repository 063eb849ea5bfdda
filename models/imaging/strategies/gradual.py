"""Gradual unfreezing: the head first, then block after block from the last one down."""

from __future__ import annotations

from models.checkpoint import Checkpoint
from models.imaging.backbones import Classifier
from models.imaging.examples import Examples
from models.imaging.strategies.learned import Learned, epochs
from models.imaging.tuning import Tell, Tuning, tune


def gradual(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,
    *,
    until: float = 0.5,
) -> Learned:
    """Thaw the base evenly over the first epochs: a head of noise never reaches deep layers.

    ULMFiT (Howard and Ruder, 2018, arXiv:1801.06146) thaws one layer an epoch; here all are thawed
    after a share of the epochs, whatever their number. See `models.imaging.tuning.tune` for the
    other arguments.

    Args:
        until: Share of the epochs after which the whole base trains.
    """
    blocks = len(net.backbone.blocks)

    def thawed(epoch: int) -> int:
        return thawed_by(epoch, tuning.epochs, blocks, until)

    history = tune(net, examples, tuning, progress, checkpoint, thawed)
    reached = thawed(history.best_epoch)
    what = f"thawed from the head down, {reached} of {blocks} blocks by the best epoch"
    return Learned(f"{what}, {epochs(history)}", history)


def thawed_by(epoch: int, all_epochs: int, blocks: int, until: float) -> int:
    """Blocks that train in an epoch: none in the first, all of them after the share `until`.

    >>> [thawed_by(epoch, 8, 18, 0.5) for epoch in range(1, 9)]
    [0, 5, 9, 14, 18, 18, 18, 18]
    """
    rising = max(until * all_epochs, 1.0)
    return min(blocks, -int(-blocks * (epoch - 1) // rising))
