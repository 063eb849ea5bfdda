"""The trimmed mean: in each weight, the clients that went furthest either way do not count."""

from __future__ import annotations

from torch import Tensor

from models.federated.fedavg import FedAvg, Project
from models.federated.limits import within
from models.federated.stack import State


class TrimmedMean(FedAvg):
    """Coordinate-wise trimmed mean (Yin et al., ICML 2018, arXiv:1803.01498).

    Every client counts once, whatever its size. It bears as many wild clients as it trims at either
    end. Under a plan the updates are noised before they are sorted.

    Args:
        learning_rate, momentum, averaged, project: See `FedAvg`.
        trim: Share of the clients of a round left out at either end, at least one; 0: none.

    Raises:
        InputError: The share is not within [0, 0.5).
    """

    weighed = False

    def __init__(
        self,
        learning_rate: float,
        momentum: float = 0.0,
        averaged: float = 0.0,
        project: Project | None = None,
        *,
        trim: float = 0.1,
    ) -> None:
        super().__init__(learning_rate, momentum, averaged, project)
        self._own["trim"] = self._trim = within("trim", trim, 0.0, 0.5, ends="[)")
        self.least = 3 if trim else 1

    def combine(self, updates: State, weights: Tensor) -> State:
        """The mean of what is left, for each weight apart."""
        taken = weights > 0
        clients = int(taken.sum())
        trimmed = max(1, int(self._trim * clients)) if self._trim else 0
        return [mean_of_the_middle(each[taken], trimmed) for each in updates]


def mean_of_the_middle(updates: Tensor, trimmed: int) -> Tensor:
    """Mean of all but so many of the lowest and of the highest, (*shape) of (clients, *shape).

    >>> from torch import tensor
    >>> mean_of_the_middle(tensor([[9.0], [1.0], [2.0]]), 1)
    tensor([2.])
    """
    ordered = updates.sort(dim=0).values
    return ordered[trimmed : len(ordered) - trimmed].mean(dim=0)
