"""Fine-tuning: some or all layers of the base train on, the deeper ones in smaller steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from domains.metrics import auroc, r2
from models.calibration import probabilities
from models.checkpoint import Checkpoint
from models.imaging.augment import augmenter
from models.imaging.backbones import Classifier, channels_last
from models.imaging.transfer import freeze, to_batch
from models.training import FitHistory, fit

_BATCH = 64  # what a layer makes of so many stays in a core's cache


@dataclass(frozen=True)
class Tuning:
    """How a net is trained.

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
        last_blocks: Train the last k blocks of the base; None trains all of it, 0 the head alone.
        weight_decay: Of AdamW.
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
    last_blocks: int | None = None
    weight_decay: float = 0.01
    silhouettes: bool = False
    seed: int = 0


def finetune(
    net: Classifier,
    images: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    tuning: Tuning,
    progress: Callable[[str], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> FitHistory:
    """Train a base and its head in place; the best epoch on validation is kept.

    Blocks below the last k stay frozen bit by bit, BatchNorm statistics included.

    Args:
        net: The base and its head, at the weights to start from.
        images: uint8 (n, H, W, 3), perhaps memory-mapped.
        targets: Class numbers (n,), int, scored by AUROC; or real values (n, t), float, learned by
            mean squared error of the standardised values and scored by mean R².
        train: Rows to train on.
        validation: Rows that decide when to stop.
        tuning: See `Tuning`.
        progress: Receives one line an epoch.
        checkpoint: What a tuning that was killed had reached; see `models.training.fit`.

    Raises:
        FloatingPointError: The loss is no longer finite.
    """
    thaw(net, tuning.last_blocks)
    net.fixed_statistics = not tuning.new_statistics
    task = _Task.of(targets, train)
    optimizer = torch.optim.AdamW(rates(net, tuning), weight_decay=tuning.weight_decay)
    kept = checkpoint.of(tuning, len(train), len(validation)) if checkpoint else None

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        _anneal(optimizer, (epoch - 1) / tuning.epochs)
        augment = augmenter(images.shape[1], tuning.seed, tuning.silhouettes, epoch)
        rng = np.random.default_rng((tuning.seed, epoch))
        for rows in _shuffled(train, tuning.batch_size, rng):
            yield augment(to_batch(images[rows])), task.targets[rows]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return task.loss(model(batch[0]), batch[1])

    def validate(_: nn.Module) -> float:
        return task.score(logits(net, images, validation), validation)

    channels_last(net).train()
    limits = (tuning.epochs, tuning.patience)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(tuning.seed)
        history = fit(net, batches, loss, validate, optimizer, *limits, progress, kept)
    net.eval()
    return history


def thaw(net: Classifier, last_blocks: int | None) -> None:
    """Let the head and the last k blocks train; freeze everything below."""
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
    """The same training for a base that has learned nothing: one rate, every layer."""
    return replace(tuning, base_rate=1.0, decay=1.0, new_statistics=True, last_blocks=None)


def _anneal(optimizer: torch.optim.Optimizer, progress: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * 0.5 * (1.0 + float(np.cos(np.pi * progress)))


def _shuffled(rows: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches in random order; a last one too small for BatchNorm is left to the next epoch."""
    order = rng.permutation(rows)
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        if len(batch) > 3 or len(order) <= 3:
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


@dataclass(frozen=True)
class _Task:
    """Classes or real values: their loss, and their score on validation."""

    targets: Tensor
    classes: bool

    @staticmethod
    def of(targets: np.ndarray, train: np.ndarray) -> _Task:
        if targets.ndim == 1:
            return _Task(torch.from_numpy(targets.copy()), classes=True)
        mean, scale = targets[train].mean(axis=0), targets[train].std(axis=0) + 1e-6
        return _Task(torch.from_numpy(((targets - mean) / scale).astype(np.float32)), classes=False)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if self.classes:
            return nn.functional.cross_entropy(outputs, targets)
        return nn.functional.mse_loss(outputs, targets)

    def score(self, outputs: np.ndarray, rows: np.ndarray) -> float:
        targets = self.targets.numpy()[rows]
        if not self.classes:
            return float(
                np.mean([r2(targets[:, j], outputs[:, j]) for j in range(targets.shape[1])])
            )
        p = probabilities(outputs)
        return auroc(targets, p[:, 1] if p.shape[1] == 2 else p)
