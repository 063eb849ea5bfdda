"""A federated run that is watched from outside, and whose global model never moves.

What leaves a client is protected whatever model it was sent, so an audit may send the one on which
canaries show best, every round. And the learning rate scales what leaves and protects nothing: it
is chosen so small that a client's own steps stay where they began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from models.federated import Client, FedAvg, run
from privacy.plan import PrivacyPlan

State = list[Tensor]
See = Callable[[State], None]
"""Takes what every client has sent: its change of each parameter, (clients, *shape) in float64."""


class Watched(FedAvg):
    """FedAvg at the clients; what they send is looked at and changes nothing."""

    def __init__(self, learning_rate: float, see: See) -> None:
        super().__init__(learning_rate)
        self._see = see

    def fold(self, start: State, updates: State, weights: Tensor) -> State:
        """Show a round's updates; the model stays."""
        del weights
        self._see([each.double() for each in updates])
        return start


def watch(
    model: nn.Module,
    clients: Sequence[Client],
    plan: PrivacyPlan,
    learning_rate: float,
    see: See,
) -> None:
    """The run's own engine under its own plan, on one thread, showing every round."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run(model, clients, plan, Watched(learning_rate, see))
    finally:
        torch.set_num_threads(before)


def rate_for(plan: PrivacyPlan, records: float, length: float) -> float:
    """Learning rate at which one round's noise has standard deviation `length` in each weight.

    Args:
        plan: With noise; without, C stands for it.
        records: Public number of records of the client meant.
        length: In the units of the weights.
    """
    sigma = plan.noise_multiplier or 1.0
    return length * plan.sampling_rate * records / (sigma * plan.clip_norm * plan.local_steps**0.5)
