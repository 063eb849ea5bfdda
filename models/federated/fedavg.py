"""Federated averaging, with momentum of the averaged step if wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.federated.rounds import Client, State
from privacy.dpsgd import local_update, plain_update
from privacy.plan import PrivacyPlan, Schedule


class FedAvg:
    """FedAvg (McMahan et al., AISTATS 2017, arXiv:1602.05629); FedAvgM with momentum.

    `v ← β·v + Σ_k w_k·Δ_k`, `θ ← θ + v` (Hsu et al., 2019, arXiv:1909.06335); β = 0 is FedAvg.
    The weights come from public numbers of records. Under a plan the Δ are noised before they
    leave their client, so the momentum costs no privacy.

    >>> FedAvg(learning_rate=0.5).fold([torch.zeros(1)], [[torch.ones(1)]], [1.0])
    [tensor([1.])]
    """

    def __init__(self, learning_rate: float, momentum: float = 0.0) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self._velocity: State | None = None

    def __repr__(self) -> str:
        return f"FedAvg(learning_rate={self.learning_rate!r}, momentum={self.momentum!r})"

    def train(self, model: nn.Module, client: Client, schedule: Schedule) -> None:
        """SGD at one client: clipped and noised under a plan, plain without."""
        batch = schedule.sampling_rate * client.records
        rate = self.learning_rate
        if isinstance(schedule, PrivacyPlan):
            local_update(
                model,
                client.features,
                client.target,
                plan=schedule,
                expected_batch=batch,
                learning_rate=rate,
            )
        else:
            plain_update(
                model,
                client.features,
                client.target,
                plan=schedule,
                expected_batch=batch,
                learning_rate=rate,
            )

    def state(self) -> dict[str, Tensor]:
        """The momentum of earlier rounds; nothing before the first."""
        return {f"velocity.{i}": v for i, v in enumerate(self._velocity or [])}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with the momentum that `state` told."""
        self._velocity = [state[f"velocity.{i}"] for i in range(len(state))] or None

    def fold(self, state: State, updates: Sequence[State], weights: Sequence[float]) -> State:
        """The average of the clients' changes, carried on by the momentum of earlier rounds."""
        mean = [
            sum((w * u for w, u in zip(weights, same, strict=True)), torch.zeros_like(old))
            for old, same in zip(state, zip(*updates, strict=True), strict=True)
        ]
        if self._velocity is None:
            self._velocity = mean
        else:
            self._velocity = [
                self.momentum * v + m for v, m in zip(self._velocity, mean, strict=True)
            ]
        return [old + v for old, v in zip(state, self._velocity, strict=True)]
