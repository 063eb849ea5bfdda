"""Training of a base and its head: which layers move, how fast, and when it stops.

The strategies of `models.imaging.strategies` say what they thaw and what they add; the loop, the
random views, the rates that fall with depth and the checkpoint are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import Checkpoint
from models.imaging.augment import augmenter
from models.imaging.backbones import Classifier, channels_last, freeze
from models.imaging.examples import Examples
from models.imaging.features import to_batch
from models.imaging.precision import Precision, half
from models.imaging.task import Task
from models.training import FitHistory, fit

_BATCH = 64  # what a layer makes of so many stays in a core's cache

Tell = Callable[[str], None]
Thawed = Callable[[int], int | None]
"""Epoch (from 1) → blocks of the base that train, counted from the last; None for all."""


@dataclass(frozen=True)
class Tuning:
    """How a net is trained, whatever the strategy.

    Attributes:
        epochs: At most so many; the best on validation is kept.
        patience: Epochs without improvement before stopping.
        batch_size: Images a step.
        learning_rate: Of the head (AdamW), falling to nothing along a cosine.
        base_rate: Rate of the base's last block, as a share of the head's.
        decay: Factor by which each block's rate is below that of the block above it.
        new_statistics: Let BatchNorm estimate its statistics anew, as a base trained from scratch
            must. A pretrained base fine-tuned on a few hundred images is better off with its own,
            for so few are too noisy an estimate.
        weight_decay: Of AdamW.
        average: Keep the moving average of the weights, which forgets by this factor a step; None
            keeps the weights as they are. See `models.averaging`.
        precision: Of the multiplications; see `models.imaging.precision`.
        silhouettes: Which random views make sense; see `models.imaging.augment.augmenter`.
        seed: Of shuffling, augmentation and dropped connections.
    """

    epochs: int
    patience: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-3
    base_rate: float = 0.3
    decay: float = 0.8
    new_statistics: bool = False
    weight_decay: float = 0.01
    average: float | None = None
    precision: Precision = "auto"
    silhouettes: bool = False
    seed: int = 0


def tune(
    net: Classifier,
    examples: Examples,
    tuning: Tuning,
    progress: Tell | None = None,
    checkpoint: Checkpoint | None = None,
    thawed: Thawed = lambda _: None,
    steer: Callable[[torch.optim.Optimizer], None] | None = None,
) -> FitHistory:
    """Train a base and its head in place; the best epoch on validation is kept.

    Blocks below the last k stay frozen bit by bit, BatchNorm statistics included.

    Args:
        net: The base and its head, at the weights to start from.
        examples: What it learns from.
        tuning: See `Tuning`.
        progress: Receives one line an epoch.
        checkpoint: What a training that was killed had reached; see `models.training.fit`.
        thawed: How much of the base trains in each epoch; all of it unless said otherwise.
        steer: Receives the optimizer before the first step.

    Raises:
        FloatingPointError: The loss is no longer finite.
    """
    plan = [thawed(epoch) for epoch in range(1, tuning.epochs + 1)]
    thaw(net, None if None in plan else max(filter(None, plan), default=0))
    net.fixed_statistics = not tuning.new_statistics
    task = Task.of(examples.targets, examples.train)
    optimizer = torch.optim.AdamW(rates(net, tuning), weight_decay=tuning.weight_decay, fused=True)
    if steer is not None:
        steer(optimizer)
    rows = (len(examples.train), len(examples.validation))
    kept = checkpoint.of(tuning, plan, *rows) if checkpoint else None

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        thaw(net, plan[epoch - 1])
        net.train()
        _anneal(optimizer, (epoch - 1) / tuning.epochs)
        return _views(examples, task, tuning, epoch)

    halved = half(net.backbone.name, tuning.precision, training=True)

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            outputs = model(batch[0])
        return task.loss(outputs.float(), batch[1])

    def validate(_: nn.Module) -> float:
        outputs = logits(net, examples.images, examples.validation)
        return task.score(outputs, examples.validation)

    channels_last(net).train()
    limits = (tuning.epochs, tuning.patience)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(tuning.seed)
        history = fit(
            net, batches, loss, validate, optimizer, *limits, progress, kept, tuning.average
        )
    net.eval()
    return history


def _views(
    examples: Examples, task: Task, tuning: Tuning, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of random views and their targets; an epoch's draws are its own."""
    augment = augmenter(examples.images.shape[1], tuning.seed, tuning.silhouettes, epoch)
    rng = np.random.default_rng((tuning.seed, epoch))
    for rows in _shuffled(examples.train, tuning.batch_size, rng):
        yield augment(to_batch(examples.images[rows])), task.targets[rows]


def thaw(net: Classifier, last_blocks: int | None) -> None:
    """Let the head and the last k blocks train (None: all); freeze everything below."""
    freeze(net.backbone)
    blocks = net.backbone.blocks
    first = 0 if last_blocks is None else max(len(blocks) - last_blocks, 0)
    for block in blocks[first:]:
        for module in block:
            module.requires_grad_(True)


def rates(net: Classifier, tuning: Tuning) -> list[dict[str, Any]]:
    """Parameter groups from the head down, each block slower than the one above it.

    Discriminative rates as in ULMFiT (Howard and Ruder, 2018, arXiv:1801.06146).
    """
    groups: list[dict[str, Any]] = []
    for depth, modules in enumerate(((net.head,), *reversed(net.backbone.blocks))):
        below = tuning.base_rate * tuning.decay ** (depth - 1) if depth else 1.0
        rate = tuning.learning_rate * below
        moving = [p for module in modules for p in module.parameters() if p.requires_grad]
        if moving:
            groups.append({"params": moving, "lr": rate, "initial_lr": rate})
    return groups


def from_scratch(tuning: Tuning) -> Tuning:
    """The same training for a base that has learned nothing: one rate, its own statistics."""
    return replace(tuning, base_rate=1.0, decay=1.0, new_statistics=True)


def _anneal(optimizer: torch.optim.Optimizer, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * 0.5 * (1.0 + float(np.cos(np.pi * progress)))


def _shuffled(rows: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches in random order; a last one too small for BatchNorm is left to the next epoch."""
    order = rng.permutation(rows)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        if len(batch) > 3 or len(batch) == min(size, len(order)):
            yield batch


def logits(net: nn.Module, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Outputs (len(rows), k) of a net in eval mode, float32."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(to_batch(images[rows[start : start + _BATCH]])).numpy()
            for start in range(0, len(rows), _BATCH)
        ]
    return np.concatenate(parts)
