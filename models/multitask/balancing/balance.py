"""What every way of balancing is."""

from __future__ import annotations

from torch import Tensor, nn

from models.multitask.sharing.network import Network


class Balance(nn.Module):
    """Losses of outcomes → one loss whose gradient moves the network.

    It is built from the number of outcomes, may hold parameters, which train with the network, and
    takes equal weights' scale: the sum of the losses.
    """

    needs_shared = False
    """Whether it means nothing without parameters that outcomes share."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, losses: Tensor, network: Network) -> Tensor:
        """Losses (m,) of the outcomes of a network → scalar."""
        raise NotImplementedError
