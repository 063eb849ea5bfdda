"""No sharing: a network of its own for every outcome. The control for all that share."""

from __future__ import annotations

from torch import Tensor, nn

from models.multitask.shape import Shape
from models.multitask.sharing.hard import Hard
from models.multitask.sharing.network import Network


class Separate(Network):
    """As many single-outcome networks as outcomes, each as large as the shared one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.networks = nn.ModuleList(Hard(shape.of((name,))) for name in shape.sizes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome."""
        return {name: out for network in self.networks for name, out in network(x).items()}

    def independent(self) -> list[Network]:
        """One an outcome."""
        return [network for network in self.networks if isinstance(network, Network)]
