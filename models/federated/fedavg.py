"""Federated averaging, with momentum of the averaged step and averaged iterates if wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from models.federated.limits import within
from models.federated.stack import State

Project = Callable[[State], State]

_VELOCITY, _AVERAGE = "velocity.", "average."


class FedAvg:
    """FedAvg (McMahan et al., AISTATS 2017, arXiv:1602.05629); FedAvgM with momentum.

    Another strategy is a class of its own that changes one of three things: `correct` (the
    clients' steps), `combine` (how many updates become one) or `advance` (the step made of it).

    `v ← β·v + Σ_k w_k·Δ_k`, `θ ← P(θ + v)` (Hsu et al., 2019, arXiv:1909.06335); β = 0 is FedAvg,
    and P puts θ back into a set that it may not leave. The weights come from public numbers of
    records. Under a plan the Δ are noised before they leave their client, so momentum, projection
    and averages cost no privacy.

    Args:
        learning_rate: Of the clients' steps.
        momentum: β.
        averaged: Share of the last rounds whose global models are averaged at the end (Polyak and
            Juditsky, 1992; of noised steps the average is far less noisy than the last). 0: the
            last model is the result.
        project: P, a function with a name or a value whose `repr` tells what it does.

    Attributes:
        least: Clients that a round needs.
        weighed: Whether the clients' weights matter.
        local: Whether it changes the clients' steps, from the second of a round on.

    Raises:
        InputError: The share is not within [0, 1].

    >>> FedAvg(0.5).fold([torch.zeros(1)], [torch.tensor([[1.0], [2.0]])], torch.tensor([0.5, 0.5]))
    [tensor([1.5000])]
    """

    least = 1
    weighed = True
    local = False

    def __init__(
        self,
        learning_rate: float,
        momentum: float = 0.0,
        averaged: float = 0.0,
        project: Project | None = None,
    ) -> None:
        self.learning_rate, self.momentum = learning_rate, momentum
        self.averaged = within("averaged", averaged, 0.0, 1.0, ends="[]")
        self._project = project
        self._own: dict[str, float] = {}
        self._velocity: State = []
        self._sum: State = []

    def __repr__(self) -> str:
        said = [f"{self.learning_rate!r}", f"momentum={self.momentum!r}"]
        if self.averaged:
            said.append(f"averaged={self.averaged!r}")
        if self._project is not None:
            name = getattr(self._project, "__qualname__", None)
            said.append(f"project={name or repr(self._project)}")
        said += [f"{name}={value!r}" for name, value in self._own.items()]
        return f"{type(self).__name__}({', '.join(said)})"

    def begin(self, shares: Tensor) -> None:
        """Nothing is kept of each client."""

    def correct(self, gradients: State, _params: State, _start: State, /) -> State:
        """Plain SGD at every client."""
        return gradients

    def fold(self, start: State, updates: State, weights: Tensor) -> State:
        """The average of the clients' changes, carried on by the momentum of earlier rounds."""
        steps = self.advance(self.combine(updates, weights))
        moved = [old + step for old, step in zip(start, steps, strict=True)]
        return moved if self._project is None else self._project(moved)

    def combine(self, updates: State, weights: Tensor) -> State:
        """One change for all, (*shape), of each client's, (clients, *shape); see `fold`."""
        return [torch.tensordot(weights, each, dims=1) for each in updates]

    def advance(self, change: State) -> State:
        """The step of the global model, (*shape), that such a change makes."""
        before = self._velocity or [torch.zeros_like(each) for each in change]
        self._velocity = [self.momentum * v + m for v, m in zip(before, change, strict=True)]
        return self._velocity

    def result(self, state: State, number: int, rounds: int) -> State:
        """The average of the last rounds' models after the last of them; before that, the model."""
        taken = math.ceil(self.averaged * rounds)
        if number <= rounds - taken:
            return state
        before = self._sum or [torch.zeros_like(each) for each in state]
        self._sum = [total + each for total, each in zip(before, state, strict=True)]
        return [total / taken for total in self._sum] if number == rounds else state

    def state(self) -> dict[str, Tensor]:
        """The momentum of earlier rounds and the sum of those averaged; at first, nothing."""
        carried = {f"{_VELOCITY}{i}": v for i, v in enumerate(self._velocity)}
        return carried | {f"{_AVERAGE}{i}": v for i, v in enumerate(self._sum)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` told."""
        self._velocity = listed(state, _VELOCITY)
        self._sum = listed(state, _AVERAGE)


def listed(state: Mapping[str, Tensor], prefix: str) -> State:
    """Tensors that `state` tells under a prefix, by number."""
    count = sum(name.startswith(prefix) for name in state)
    return [state[f"{prefix}{i}"] for i in range(count)]
