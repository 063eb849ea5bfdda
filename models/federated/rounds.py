"""Rounds of federated learning: every client trains from the global model, the updates are folded.

Unit, neighbours, ε and δ are the plan's (`privacy.plan`). What leaves a client is its update after
the last noised step; everything here is computed from such updates and from public numbers, and
costs no further privacy. Every client takes part in every round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from privacy.plan import Schedule

State = list[Tensor]
Point = dict[str, float]


@dataclass(frozen=True)
class Client:
    """One owner's training records, and how much of the average it is.

    Attributes:
        name: Of the client.
        features, target: Training records, (n, d) and (n,), float32; n may be 0.
        records: Public number of training records expected of this client: its weight in the
            average, and sampling rate × records the denominator of its gradients.
    """

    name: str
    features: Tensor
    target: Tensor
    records: float


class Strategy(Protocol):
    """A federated algorithm: train one client, fold what came back."""

    def train(self, model: nn.Module, client: Client, schedule: Schedule) -> None:
        """Train `model` in place on one client's records, for one round."""

    def fold(self, state: State, updates: Sequence[State], weights: Sequence[float]) -> State:
        """The next global parameters, from the last ones and each client's change of them."""


def run(
    model: nn.Module,
    clients: Sequence[Client],
    schedule: Schedule,
    strategy: Strategy,
    progress: Callable[[int], None] | None = None,
) -> list[Point]:
    """Train `model` in place for `schedule.rounds` rounds.

    Args:
        model: Starts as the global model and ends as it.
        clients: Who takes part; one client is central training.
        schedule: Rounds, steps and sampling; a `PrivacyPlan` trains with its noise.
        strategy: The algorithm; it may keep state of its own, so use a fresh one for every run.
        progress: Told the number of each round that ended.

    Returns:
        One mapping a round: its number, and the length of the global step. Nothing else is
        measured, for anything measured on training records would have to be charged.
    """
    total = sum(client.records for client in clients)
    weights = [client.records / total for client in clients]
    history: list[Point] = []
    for number in range(1, schedule.rounds + 1):
        state = _state(model)
        updates = [_update(model, state, client, schedule, strategy) for client in clients]
        after = strategy.fold(state, updates, weights)
        _load(model, after)
        moved = sum(float(((a - b) ** 2).sum()) for a, b in zip(after, state, strict=True)) ** 0.5
        history.append({"round": float(number), "step_length": moved})
        if progress is not None:
            progress(number)
    return history


def _update(
    model: nn.Module, state: State, client: Client, schedule: Schedule, strategy: Strategy
) -> State:
    _load(model, state)
    strategy.train(model, client, schedule)
    return [new - old for new, old in zip(_state(model), state, strict=True)]


def _state(model: nn.Module) -> State:
    return [parameter.detach().clone() for parameter in model.parameters()]


def _load(model: nn.Module, state: State) -> None:
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), state, strict=True):
            parameter.copy_(value)
