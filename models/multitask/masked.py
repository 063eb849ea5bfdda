"""Records of which each outcome has its own labels: losses that leave the others out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import known
from models.multitask.coded import Coded
from models.multitask.heads import LOSSES
from models.multitask.sharing.network import Network

_ROWS = 8192  # validated at once
_MOST = 65_536  # records that a constant answer is fitted on
_SHORTEST = 0.25  # of its loss there


@dataclass(frozen=True)
class Records:
    """Encoded records.

    Attributes:
        x: Features, (n, width) float32, in memory or made of codes batch by batch.
        y: Encoded targets by outcome, (n,) or (n, 2), NaN where unknown (`Codec.encode`).
        numbers: Columns of `x` that hold numbers on a standard normal scale.
    """

    x: np.ndarray | Coded
    y: dict[str, np.ndarray]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """One outcome's targets as tensors, NaN replaced, and the weight of each record's loss."""

    kind: str
    target: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Masked:
    """Records as tensors.

    Attributes:
        train_x, val_x: Features, (n, width).
        train_y, val_y: By outcome.
        scale: By outcome, the loss of the best constant answer on validation.
    """

    train_x: Tensor | Coded
    train_y: dict[str, _Outcome]
    val_x: Tensor | Coded
    val_y: dict[str, _Outcome]
    scale: dict[str, float]

    @staticmethod
    def of(training: Records, validation: Records, codecs: Mapping[str, Codec]) -> Masked:
        """Records to learn from, and those that decide when to stop."""
        train_x, train_y = _tensors(training, codecs)
        val_x, val_y = _tensors(validation, codecs)
        scale = _null_losses(train_y, val_y, codecs)
        return Masked(train_x, train_y, val_x, val_y, scale)

    def losses(self, part: Network, rows: Tensor) -> Tensor:
        """Mean training loss of each of a network's outcomes, (m,)."""
        out = part(self.train_x[rows])
        return torch.stack([_mean_loss(out[name], self.train_y[name], rows) for name in out])

    def score(self, part: Network) -> float:
        """Mean share of the constant answer's loss that the network saves on validation."""
        losses: dict[str, float] = {}
        for start in range(0, len(self.val_x), _ROWS):
            rows = slice(start, start + _ROWS)
            x = self.val_x[rows]
            for name, each in part(x).items():
                answer = each.mean(dim=1, keepdim=True)
                loss = _mean_loss(answer, self.val_y[name], rows).item()
                losses[name] = losses.get(name, 0.0) + loss * (len(x) / len(self.val_x))
        saved = [1.0 - loss / self.scale[name] for name, loss in losses.items()]
        return float(np.mean(saved))


def _tensors(
    records: Records, codecs: Mapping[str, Codec]
) -> tuple[Tensor | Coded, dict[str, _Outcome]]:
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
    x = records.x if isinstance(records.x, Coded) else torch.from_numpy(records.x)
    return x, outcomes


def _mean_loss(out: Tensor, outcome: _Outcome, rows: Tensor | slice = slice(None)) -> Tensor:
    """Of logits (n, members, size), each member for itself."""
    members = out.shape[1]
    target = outcome.target[rows].repeat_interleave(members, dim=0)
    each = LOSSES[outcome.kind](out.flatten(0, 1), target).view(-1, members)
    return (each * outcome.weight[rows, None]).mean()


def _null_losses(
    training: dict[str, _Outcome], validation: dict[str, _Outcome], codecs: Mapping[str, Codec]
) -> dict[str, float]:
    """Validation loss of the best constant answer: the yardstick that makes outcomes comparable.

    It is never far shorter than that of training records: of one label that the constant happens to
    meet, or of many that are all no, it would be next to nothing, and that outcome alone would
    decide when to stop.
    """
    scale = {}
    for name, codec in codecs.items():
        constant, learned = _best_constant(training[name], codec.size)
        outcome = validation[name]
        value = float(_mean_loss(constant.expand(len(outcome.target), 1, -1), outcome))
        scale[name] = max(value, _SHORTEST * learned, 1e-6)
    return scale


def _best_constant(outcome: _Outcome, size: int) -> tuple[Tensor, float]:
    """Logits (1, size) of the lowest loss, and that loss; of very many records it is found on some
    that lie evenly among them."""
    constant = torch.zeros(1, size, requires_grad=True)
    optimizer = torch.optim.LBFGS([constant], lr=0.5, max_iter=50)
    some = slice(None, None, -(-len(outcome.target) // _MOST))
    count = len(outcome.target[some])

    def loss() -> Tensor:
        return _mean_loss(constant.expand(count, 1, -1), outcome, some)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        return constant.detach(), float(loss())
