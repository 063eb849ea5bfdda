"""Networks side by side, each for some of the outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.multitask.shape import Shape
from models.multitask.sharing.hard import Hard
from models.multitask.sharing.network import Network


class Apart(Network):
    """Hard sharing within each group of outcomes, and none between them.

    Args:
        shape: Of the whole.
        groups: Every outcome once.
    """

    def __init__(self, shape: Shape, groups: Sequence[tuple[str, ...]]) -> None:
        super().__init__(shape)
        self.networks = nn.ModuleList(Hard(shape.of(group)) for group in groups)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome, in the order of the shape."""
        found = {name: out for network in self.networks for name, out in network(x).items()}
        return {name: found[name] for name in self.names}

    def independent(self) -> list[Network]:
        """One a group."""
        return self._parts()

    def shared(self) -> list[nn.Parameter]:
        """The trunks of groups of more than one outcome."""
        return [parameter for part in self._parts() for parameter in part.shared()]

    def _parts(self) -> list[Network]:
        return [network for network in self.networks if isinstance(network, Network)]
