"""What a net learns to say of an image: one class, several labels, or real values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from domains.metrics import auroc, r2
from models.calibration import probabilities

Kind = Literal["classes", "labels", "values"]


def kind_of(targets: np.ndarray) -> Kind:
    """The kind of task that targets belong to, by their type and shape.

    Args:
        targets: Class numbers (n,), int; or labels (n, k), int or bool, each 0 or 1 by itself; or
            real values (n, t), float.
    """
    if targets.ndim == 1:
        return "classes"
    return "values" if np.issubdtype(targets.dtype, np.floating) else "labels"


@dataclass(frozen=True)
class Task:
    """Targets as a net learns them, their loss, and their score on validation.

    Attributes:
        kind: One class an image, several labels (each learned by itself), or real values.
        targets: As the loss takes them: (n,) int64, (n, k) float 0 or 1, or (n, t) standardised.
    """

    kind: Kind
    targets: Tensor

    @staticmethod
    def of(targets: np.ndarray, train: np.ndarray) -> Task:
        """The task of targets, real values standardised by training rows; see `kind_of`."""
        kind = kind_of(targets)
        if kind == "classes":
            return Task(kind, torch.from_numpy(targets.astype(np.int64)))
        if kind == "values":
            mean, scale = targets[train].mean(axis=0), targets[train].std(axis=0) + 1e-6
            targets = (targets - mean) / scale
        return Task(kind, torch.from_numpy(targets.astype(np.float32)))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy, mean binary cross entropy, or mean squared error; scalar."""
        if self.kind == "classes":
            return nn.functional.cross_entropy(outputs, targets)
        if self.kind == "labels":
            return nn.functional.binary_cross_entropy_with_logits(outputs, targets)
        return nn.functional.mse_loss(outputs, targets)

    def score(self, outputs: np.ndarray, rows: np.ndarray) -> float:
        """AUROC of classes, its mean over labels, or mean R² of values; larger is better.

        Args:
            outputs: (len(rows), k) as the net gives them.
            rows: Their records.
        """
        targets = self.targets.numpy()[rows]
        if self.kind == "labels":
            return macro_auroc(targets, outputs)
        if self.kind == "values":
            each = [r2(targets[:, j], outputs[:, j]) for j in range(targets.shape[1])]
            return float(np.mean(each))
        p = probabilities(outputs)
        return auroc(targets, p[:, 1] if p.shape[1] == 2 else p)


def macro_auroc(targets: np.ndarray, scores: np.ndarray) -> float:
    """Mean of the labels' own AUROC, over those that the records have both with and without.

    Args:
        targets: (n, k), 0 or 1.
        scores: (n, k), larger for 1.

    Returns:
        NaN where no label has both.
    """
    mixed = [j for j in range(targets.shape[1]) if 0 < targets[:, j].mean() < 1]
    each = [auroc(targets[:, j].astype(np.int64), scores[:, j]) for j in mixed]
    return float(np.mean(each)) if each else float("nan")
