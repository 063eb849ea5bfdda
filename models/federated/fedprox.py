"""FedProx: clients that are held to the global model while they train."""

from __future__ import annotations

import math

from models.federated.fedavg import FedAvg, Project
from models.federated.limits import within
from models.federated.stack import State


class FedProx(FedAvg):
    """FedProx (Li et al., MLSys 2020, arXiv:1812.06127): each client adds μ/2·‖y - θ‖² to its loss.

    The pull is taken at the end of each step, `y ← (y - η·g + η·μ·θ) / (1 + η·μ)`, so that no μ
    overshoots. A round's first step starts at θ, where the pull only shortens it.
    The pull needs no records: under a plan it costs no privacy.

    Args:
        learning_rate, momentum, averaged, project: See `FedAvg`.
        mu: μ; 0 is `FedAvg`.

    Raises:
        InputError: μ is negative or not finite.
    """

    local = True

    def __init__(
        self,
        learning_rate: float,
        momentum: float = 0.0,
        averaged: float = 0.0,
        project: Project | None = None,
        *,
        mu: float = 0.1,
    ) -> None:
        super().__init__(learning_rate, momentum, averaged, project)
        self._own["mu"] = self._mu = within("mu", mu, 0.0, math.inf, ends="[)")

    def correct(self, gradients: State, params: State, start: State, /) -> State:
        """What leads to the end of a step and of its pull."""
        shrink = 1.0 / (1.0 + self.learning_rate * self._mu)
        for gradient, here, old in zip(gradients, params, start, strict=True):
            gradient.add_(here, alpha=self._mu).sub_(old, alpha=self._mu).mul_(shrink)
        return gradients
