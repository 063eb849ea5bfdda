"""Parameters of all clients side by side: one tensor a layer, its first dimension the client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = list[Tensor]


@dataclass(frozen=True)
class Stack:
    """One buffer, seen as one tensor (clients, …) a parameter; noise and steps take it whole.

    Attributes:
        flat: All numbers, parameter by parameter.
        parts: Views of it, (clients, *shape).

    >>> Stack.of([torch.zeros(4, 3), torch.zeros(4)], clients=2).parts[0].shape
    torch.Size([2, 4, 3])
    """

    flat: Tensor
    parts: State

    @classmethod
    def of(cls, like: Sequence[Tensor], clients: int) -> Stack:
        """Zeros for so many clients.

        Args:
            like: One client's parameters.
            clients: How many.
        """
        flat = torch.zeros(clients * sum(each.numel() for each in like))
        cuts = flat.split([clients * each.numel() for each in like])
        shaped = zip(cuts, like, strict=True)
        return cls(flat, [cut.view(clients, *each.shape) for cut, each in shaped])

    def fill(self, state: Sequence[Tensor]) -> None:
        """Give every client the same parameters."""
        for part, value in zip(self.parts, state, strict=True):
            part.copy_(value.expand_as(part))


def parameters(model: nn.Module) -> State:
    """A copy of the model's parameters, in their order."""
    return [parameter.detach().clone() for parameter in model.parameters()]


def load(model: nn.Module, state: Sequence[Tensor]) -> None:
    """Put parameters into the model."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), state, strict=True):
            parameter.copy_(value)
