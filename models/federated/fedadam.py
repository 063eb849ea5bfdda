"""FedAdam: the clients' average is a gradient for Adam."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from models.federated.fedavg import FedAvg, Project, listed
from models.federated.limits import within
from models.federated.stack import State

_SECOND = "second."


class FedAdam(FedAvg):
    """FedAdam (Reddi et al., ICLR 2021, arXiv:2003.00295), which gives each weight its own step.

    `m ← β₁·m + (1 - β₁)·Δ`, `v ← β₂·v + (1 - β₂)·Δ²`, `θ ← P(θ + γ·m / (√v + τ))`, from m = 0 and
    v = τ², with Δ the weighted average and β₁ the momentum. Computed from what left the clients.

    Args:
        learning_rate, averaged, project: See `FedAvg`.
        momentum: β₁.
        server_rate: γ, about how far a weight goes in one round.
        beta2: β₂.
        tau: τ; changes far below it count as nothing.

    Raises:
        InputError: One of them is out of its range.
    """

    def __init__(
        self,
        learning_rate: float,
        momentum: float = 0.0,
        averaged: float = 0.0,
        project: Project | None = None,
        *,
        server_rate: float = 0.1,
        beta2: float = 0.99,
        tau: float = 1e-3,
    ) -> None:
        super().__init__(learning_rate, momentum, averaged, project)
        self._rate = within("server_rate", server_rate, 0.0, math.inf, ends="()")
        self._beta2 = within("beta2", beta2, 0.0, 1.0, ends="[)")
        self._tau = within("tau", tau, 0.0, math.inf, ends="()")
        self._own |= {"server_rate": server_rate, "beta2": beta2, "tau": tau}
        self._second: State = []

    def advance(self, change: State) -> State:
        """Adam's step; the velocity holds m."""
        first = self._velocity or [torch.zeros_like(each) for each in change]
        second = self._second or [torch.full_like(each, self._tau**2) for each in change]
        kept, beta2 = self.momentum, self._beta2
        self._velocity = [
            kept * m + (1.0 - kept) * each for m, each in zip(first, change, strict=True)
        ]
        self._second = [
            beta2 * v + (1.0 - beta2) * each**2 for v, each in zip(second, change, strict=True)
        ]
        pairs = zip(self._velocity, self._second, strict=True)
        return [self._rate * m / (v.sqrt() + self._tau) for m, v in pairs]

    def state(self) -> dict[str, Tensor]:
        """`FedAvg`'s, and v."""
        return super().state() | {f"{_SECOND}{i}": v for i, v in enumerate(self._second)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` told."""
        super().restore(state)
        self._second = listed(state, _SECOND)
