"""The one fit loop: batches in, the best weights on validation out."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FitHistory:
    """What a fit did.

    Attributes:
        best_epoch: Epoch (from 1) whose weights the model now holds.
        epochs: Epochs run.
        best: Best validation score; larger is better.
        seconds: Wall time.
        history: One mapping an epoch: `epoch`, `loss`, `validation`.
    """

    best_epoch: int
    epochs: int
    best: float
    seconds: float
    history: list[dict[str, float]] = field(default_factory=list)


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    loss: Callable[[nn.Module, Any], Tensor],
    validate: Callable[[nn.Module], float],
    optimizer: torch.optim.Optimizer,
    epochs: int,
    patience: int,
    progress: Callable[[str], None] | None = None,
) -> FitHistory:
    """Train, watch validation, stop when it no longer improves, restore the best weights.

    The model arrives in the mode that it is to be trained in, and is put back into it after each
    validation: a frozen base stays in eval inside a model that trains.

    Args:
        model: Trained in place.
        batches: Epoch number (from 1) → batches.
        loss: Model and batch → mean loss of the batch, scalar.
        validate: Model → score, larger is better.
        optimizer: Over the parameters that may move.
        epochs: At most this many.
        patience: Epochs without improvement before stopping.
        progress: Receives one line an epoch.

    Raises:
        FloatingPointError: The loss is no longer finite.
    """
    started, best, best_epoch, history = time.perf_counter(), -math.inf, 0, []
    best_state = copy.deepcopy(model.state_dict())
    for epoch in range(1, epochs + 1):
        mean = _epoch(model, batches(epoch), loss, optimizer)
        score = _validate(model, validate)
        history.append({"epoch": epoch, "loss": mean, "validation": score})
        if progress:
            progress(f"epoch {epoch}/{epochs}: loss {mean:.4f}, validation {score:.4f}")
        if score > best:
            best, best_epoch = score, epoch
            best_state = copy.deepcopy(model.state_dict())
        elif epoch - best_epoch >= patience:
            break
    model.load_state_dict(best_state)
    seconds = time.perf_counter() - started
    return FitHistory(best_epoch, len(history), best, seconds, history)


def _epoch(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Tensor],
    optimizer: torch.optim.Optimizer,
) -> float:
    total, count = 0.0, 0
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        total, count = total + float(value.detach()), count + 1
    mean = total / max(count, 1)
    if not math.isfinite(mean):
        raise FloatingPointError(f"the training loss became {mean}; lower the learning rate")
    return mean


def _validate(model: nn.Module, validate: Callable[[nn.Module], float]) -> float:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        score = validate(model)
    for module, training in modes:
        module.training = training
    return score
