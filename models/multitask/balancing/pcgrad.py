"""Gradient surgery: what of an outcome's gradient opposes another's is taken out."""

from __future__ import annotations

from torch import Tensor
from torchjd.aggregation import PCGrad as Projected

from models.multitask.balancing.balance import Balance
from models.multitask.gradients import combined
from models.multitask.sharing.network import Network


class PCGrad(Balance):
    """Projecting conflicting gradients (Yu et al., NeurIPS 2020, arXiv:2001.06782), by torchjd."""

    needs_shared = True

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._aggregate = Projected()

    def forward(self, losses: Tensor, network: Network) -> Tensor:
        """A loss whose gradient is the sum of the projected ones."""
        return combined(losses, network, self._aggregate)
