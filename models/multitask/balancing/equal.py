"""Equal weights: the sum of the losses."""

from __future__ import annotations

from torch import Tensor

from models.multitask.balancing.balance import Balance
from models.multitask.sharing.network import Network


class Equal(Balance):
    """Each outcome's mean loss counts alike."""

    def forward(self, losses: Tensor, network: Network) -> Tensor:  # noqa: ARG002 (one signature)
        """Their sum."""
        return losses.sum()
