"""The one fit loop: batches in, the best weights on validation out.

With a checkpoint it can be killed at any moment and goes on from the last epoch that was saved, to
the same weights bit by bit.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from models.averaging import Average, averaged
from models.checkpoint import Checkpoint


@dataclass(frozen=True)
class FitHistory:
    """What a fit did.

    Attributes:
        best_epoch: Epoch (from 1) whose weights the model now holds.
        epochs: Epochs run.
        best: Best validation score; larger is better.
        seconds: Wall time.
        history: One mapping an epoch: `epoch`, `loss`, `validation`.
        earlier: Of `seconds`, those of attempts before this one.
    """

    best_epoch: int
    epochs: int
    best: float
    seconds: float
    history: list[dict[str, float]] = field(default_factory=list)
    earlier: float = 0.0


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable[Any]],
    loss: Callable[[nn.Module, Any], Tensor],
    validate: Callable[[nn.Module], float],
    optimizer: torch.optim.Optimizer,
    epochs: int,
    patience: int,
    progress: Callable[[str], None] | None = None,
    checkpoint: Checkpoint | None = None,
    average: float | None = None,
) -> FitHistory:
    """Train, watch validation, stop when it no longer improves, restore the best weights.

    The model arrives in the mode that it is to be trained in, and is put back into it after each
    validation: a frozen base stays in eval inside a model that trains.

    Args:
        model: Trained in place.
        batches: Epoch number (from 1) → batches; what they draw depends on that number alone, or
            on torch's own generator, which the checkpoint keeps.
        loss: Model and batch → mean loss of the batch, scalar.
        validate: Model → score, larger is better.
        optimizer: Over the parameters that may move; what it does not count itself (a rate that
            falls) `batches` sets by the epoch number.
        epochs: At most this many.
        patience: Epochs without improvement before stopping.
        progress: Receives one line an epoch.
        checkpoint: Saved after an epoch when that is due, and at the end. A fit that was killed
            goes on from it; one that had ended returns at once.
        average: Validate and keep the moving average of the weights, which forgets by this factor
            a step (`models.averaging`); None keeps the weights as they are.

    Raises:
        FloatingPointError: The loss is no longer finite.
    """
    recipe = (epochs, patience, shapes(model), *([] if average is None else [average]))
    kept = checkpoint.of(*recipe) if checkpoint else None
    mean_of = averaged(model, average)
    run = _resumed(kept, model, optimizer, mean_of) or _Run(copy.deepcopy(model.state_dict()))
    earlier, started = run.seconds, time.perf_counter()
    fresh = False
    while not run.ended(epochs, patience):
        epoch = len(run.history) + 1
        mean = _epoch(model, batches(epoch), loss, optimizer, mean_of)
        with mean_of.held_by(model) if mean_of else nullcontext():
            score = _validate(model, validate)
            run.add(model, mean, score)
        if progress:
            progress(f"epoch {epoch}/{epochs}: loss {mean:.4f}, validation {score:.4f}")
        run.seconds, fresh = earlier + time.perf_counter() - started, True
        if kept and not run.ended(epochs, patience) and kept.due():
            kept.save(run.tensors() | capture(model, optimizer, mean_of), run.facts())
    if kept and fresh:
        kept.save(run.tensors() | {"rng": torch.get_rng_state()}, run.facts() | {"ended": True})
    model.load_state_dict(run.best_state)
    return FitHistory(run.best_epoch, len(run.history), run.best, run.seconds, run.history, earlier)


@dataclass
class _Run:
    """Where a fit stands."""

    best_state: dict[str, Tensor]
    best_epoch: int = 0
    best: float = -math.inf
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def add(self, model: nn.Module, loss: float, score: float) -> None:
        epoch = len(self.history) + 1
        self.history.append({"epoch": epoch, "loss": loss, "validation": float(score)})
        if score > self.best:
            self.best, self.best_epoch = float(score), epoch
            self.best_state = copy.deepcopy(model.state_dict())

    def ended(self, epochs: int, patience: int) -> bool:
        stalled = len(self.history) - self.best_epoch
        return len(self.history) >= epochs or stalled >= max(patience, 1)

    def tensors(self) -> dict[str, Tensor]:
        return {f"best.{name}": tensor for name, tensor in self.best_state.items()}

    def facts(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "best_state"}


def _resumed(
    kept: Checkpoint | None,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average | None,
) -> _Run | None:
    found = kept.load() if kept else None
    if found is None:
        return None
    tensors, facts = found
    if facts.pop("ended", False):
        torch.set_rng_state(tensors["rng"])
    else:
        restore(tensors, model, optimizer)
        if average is not None:
            average.restore(_under("average.", tensors), int(tensors["averaged"]))
    return _Run(_under("best.", tensors), **facts)


def shapes(model: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a model's tensors: what a checkpoint of it belongs to."""
    return [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]


def capture(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: Average | None = None
) -> dict[str, Tensor]:
    """Weights and buffers, the optimizer's moments and steps, torch's generator, and the weights'
    average where there is one, by name."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    found = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, parameter in enumerate(parameters):
        for name, value in optimizer.state[parameter].items():
            if isinstance(value, Tensor):
                found[f"optimizer.{number}.{name}"] = value
    if average is not None:
        found |= {f"average.{name}": tensor for name, tensor in average.state.items()}
        found["averaged"] = torch.tensor(average.steps)
    return found | {"rng": torch.get_rng_state()}


def restore(tensors: dict[str, Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put back what `capture` found, laid out in memory as it was."""
    model.load_state_dict(_under("model.", tensors))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in _under("optimizer.", tensors).items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        like = parameter if value.shape == parameter.shape else value
        optimizer.state[parameter][name] = torch.empty_like(like, dtype=value.dtype).copy_(value)
    torch.set_rng_state(tensors["rng"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _epoch(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Tensor],
    optimizer: torch.optim.Optimizer,
    average: Average | None,
) -> float:
    total, count = 0.0, 0
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, batch)
        value.backward()
        optimizer.step()
        if average is not None:
            average.update(model)
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
