"""A new head on features that do not change: logistic regression, its penalty by validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.imaging.task import Task

_LEAST = 0.1
PENALTIES = (10.0, 3.0, 1.0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)


@dataclass(frozen=True)
class Head:
    """A linear head on raw features: logits = features · weightᵀ + bias.

    Attributes:
        weight: float32 (k, d).
        bias: float32 (k,).
        penalty: Strength of the chosen L2 penalty.
        validation_loss: Log loss on validation at that penalty.
    """

    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    validation_loss: float

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Logits (n, k) of features (n, d)."""
        return np.asarray(values @ self.weight.T + self.bias)


def fit_head(
    values: np.ndarray, targets: np.ndarray, train: np.ndarray, validation: np.ndarray, outputs: int
) -> Head:
    """Logistic regression, multinomial or one a label; its L2 penalty is chosen on validation.

    The path runs from the strongest penalty to the weakest, each fit starting at the last one, and
    ends when the validation log loss has risen twice. Features are standardised by training rows,
    those that hardly vary there less than wholly; the scaling is folded into the weights that are
    returned.

    Args:
        values: Features (n, d).
        targets: Class numbers (n,), or labels (n, k) of 0 and 1; see `models.imaging.task`.
        train: Rows to fit on.
        validation: Rows to choose the penalty on.
        outputs: Number k of classes or labels.
    """
    task = Task.of(targets, train)
    mean, scale = values[train].mean(axis=0), _spread(values[train])
    x = torch.from_numpy(((values[train] - mean) / scale).astype(np.float32))
    held = torch.from_numpy(((values[validation] - mean) / scale).astype(np.float32))
    weight = torch.zeros(outputs, x.shape[1] + 1, requires_grad=True)
    best, worse = None, 0
    for penalty in PENALTIES:
        _descend(weight, x, task, task.targets[train], penalty)
        with torch.no_grad():
            loss = float(task.loss(_outputs(weight, held), task.targets[validation]))
        if best is None or loss < best[0]:
            best, worse = (loss, penalty, weight.detach().numpy().copy()), 0
        else:
            worse += 1
        if worse == 2:
            break
    assert best is not None  # noqa: S101 - the path is not empty
    loss, penalty, fitted = best
    folded = fitted[:, :-1] / scale
    bias = fitted[:, -1] - folded @ mean
    return Head(folded.astype(np.float32), bias.astype(np.float32), penalty, loss)


def _spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation by feature, (d,), at least a tenth of the usual one.

    A feature that is off in nearly all training images would else be stretched so far that one new
    image in which it is on outweighs all other features, and all other images' calibration.
    """
    found = values.std(axis=0)
    alive = found[found > 0]
    return np.maximum(found, _LEAST * np.median(alive) if alive.size else 1.0)


def _outputs(weight: Tensor, x: Tensor) -> Tensor:
    return x @ weight[:, :-1].T + weight[:, -1]


def _descend(weight: Tensor, x: Tensor, task: Task, y: Tensor, penalty: float) -> None:
    """Minimise mean log loss + penalty/2 · ‖weights‖² in place, by L-BFGS; the bias is free."""
    optimizer = torch.optim.LBFGS(
        [weight], max_iter=60, tolerance_change=1e-5, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = task.loss(_outputs(weight, x), y)
        loss = loss + 0.5 * penalty * weight[:, :-1].square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
