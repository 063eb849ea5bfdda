"""Learning many outcomes at once from records that have labels for only some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from domains.healthcare.outcome_codec import Codec
from domains.healthcare.outcome_targets import known
from models.checkpoint import Checkpoint
from models.inference import batches
from models.multitask import SHARING
from models.multitask.heads import LOSSES
from models.training import FitHistory, fit

Progress = Callable[[str], None]
_LEAST_STEPS = 12


@dataclass(frozen=True)
class Recipe:
    """How a network is built and trained.

    Attributes:
        sharing: A name of `models.multitask.SHARING`.
        hidden: Width of each hidden layer.
        epochs: At most this many.
        patience: Epochs without improvement on validation before stopping.
        seed: Initial weights, order of records, dropout.
        batch_size: Records a step; fewer where that leaves less than a dozen steps an epoch.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
    """

    sharing: str
    hidden: int
    epochs: int
    patience: int
    seed: int
    batch_size: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Records:
    """Encoded records.

    Attributes:
        x: Features, (n, width) float32.
        y: Encoded targets by outcome, (n,) or (n, 2), NaN where unknown (`Codec.encode`).
    """

    x: np.ndarray
    y: dict[str, np.ndarray]


@dataclass(frozen=True)
class _Outcome:
    """One outcome's targets as tensors, NaN replaced, and the weight of each record's loss."""

    kind: str
    target: Tensor
    weight: Tensor


def train(
    recipe: Recipe,
    codecs: Mapping[str, Codec],
    training: Records,
    validation: Records,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[nn.Module, list[FitHistory]]:
    """Build a network and train each of its independent parts, with early stopping.

    The loss is the sum over outcomes of the mean loss of that outcome's labelled records: how many
    labels an outcome has does not change its say.

    Args:
        recipe: How the network is built and trained.
        codecs: By outcome.
        training, validation: Records to learn from, and those that decide when to stop.
        progress: Receives one line an epoch.
        checkpoint: A part of it for every independent part: a training that was killed goes on
            with the part and the epoch that it had reached.

    Returns:
        The network in eval mode, and one history an independent part.
    """
    torch.set_num_threads(1)  # for nets this small more threads are slower
    torch.manual_seed(recipe.seed)
    sizes = {name: codec.size for name, codec in codecs.items()}
    network = SHARING[recipe.sharing](training.x.shape[1], sizes, recipe.hidden)
    train_x, train_y = _tensors(training, codecs)
    val_x, val_y = _tensors(validation, codecs)
    scale = _null_losses(train_y, val_y, codecs)

    def validate(part: nn.Module) -> float:
        out = part(val_x)
        return float(np.mean([1.0 - _mean_loss(out[n], val_y[n]).item() / scale[n] for n in out]))

    def loss(part: nn.Module, rows: Tensor) -> Tensor:
        out = part(train_x[rows])
        each = [_mean_loss(out[name], train_y[name], rows) for name in out]
        return torch.stack(each).sum()

    histories = []
    kept = checkpoint.of(recipe, sizes, len(train_x)) if checkpoint else None
    for number, part in enumerate(network.independent()):
        part.train()
        optimizer = torch.optim.AdamW(
            part.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        batches = shuffled(len(train_x), recipe)
        limits, own = (recipe.epochs, recipe.patience), kept.part(number) if kept else None
        histories.append(fit(part, batches, loss, validate, optimizer, *limits, progress, own))
    return network.eval(), histories


def logits(network: nn.Module, x: np.ndarray) -> dict[str, np.ndarray]:
    """Logits (n, size) of every outcome, float64."""
    torch.set_num_threads(1)
    network.eval()
    parts: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for batch, rows in batches(x):
            for name, values in network(batch).items():
                parts.setdefault(name, []).append(values[:rows].double().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}


def shuffled(count: int, recipe: Recipe) -> Callable[[int], Iterator[Tensor]]:
    """Epoch number → shuffled row numbers in batches, the same for the same seed.

    Batches are of equal size, give or take a record: a remainder of a few records would take a
    full step in a direction of its own, every epoch.
    """
    steps = max(-(-count // recipe.batch_size), min(_LEAST_STEPS, count))

    def of(epoch: int) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + epoch)
        order = torch.randperm(count, generator=generator)
        yield from order.tensor_split(steps)

    return of


def _tensors(records: Records, codecs: Mapping[str, Codec]) -> tuple[Tensor, dict[str, _Outcome]]:
    outcomes = {}
    for name, codec in codecs.items():
        labelled = known(records.y[name])
        # Divided by the share of labelled records, the expected batch loss is the mean over them;
        # a batch without a single label adds nothing instead of dividing by zero.
        share = max(float(labelled.mean()), 1.0 / len(labelled)) if len(labelled) else 1.0
        outcomes[name] = _Outcome(
            codec.outcome.kind,
            torch.from_numpy(np.nan_to_num(records.y[name]).astype(np.float32)),
            torch.from_numpy((labelled / share).astype(np.float32)),
        )
    return torch.from_numpy(records.x), outcomes


def _mean_loss(out: Tensor, outcome: _Outcome, rows: Tensor | slice = slice(None)) -> Tensor:
    each = LOSSES[outcome.kind](out, outcome.target[rows])
    return (each * outcome.weight[rows]).mean()


def _null_losses(
    training: dict[str, _Outcome], validation: dict[str, _Outcome], codecs: Mapping[str, Codec]
) -> dict[str, float]:
    """Validation loss of the best constant answer: the yardstick that makes outcomes comparable."""
    scale = {}
    for name, codec in codecs.items():
        constant = torch.zeros(codec.size, requires_grad=True)
        optimizer = torch.optim.LBFGS([constant], lr=0.5, max_iter=50)

        def closure(
            name: str = name, constant: Tensor = constant, optimizer: torch.optim.LBFGS = optimizer
        ) -> Tensor:
            optimizer.zero_grad()
            outcome = training[name]
            value = _mean_loss(constant.expand(len(outcome.target), -1), outcome)
            value.backward()
            return value

        optimizer.step(closure)
        outcome = validation[name]
        with torch.no_grad():
            value = _mean_loss(constant.expand(len(outcome.target), -1), outcome)
        scale[name] = max(float(value), 1e-6)
    return scale
