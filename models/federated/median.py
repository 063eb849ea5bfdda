"""The median: in each weight, half of the clients went further and half less far."""

from __future__ import annotations

from torch import Tensor

from models.federated.fedavg import FedAvg
from models.federated.stack import State
from models.federated.trimmed_mean import mean_of_the_middle


class Median(FedAvg):
    """Coordinate-wise median (Yin et al., ICML 2018, arXiv:1803.01498).

    Every client counts once, whatever its size. It bears wild clients as long as they are fewer
    than half. Of an even number, the mean of the two in the middle. Under a plan the updates are
    noised before they are sorted.
    """

    least = 3
    weighed = False

    def combine(self, updates: State, weights: Tensor) -> State:
        """The median of those who took part, for each weight apart."""
        taken = weights > 0
        trimmed = (int(taken.sum()) - 1) // 2
        return [mean_of_the_middle(each[taken], trimmed) for each in updates]
