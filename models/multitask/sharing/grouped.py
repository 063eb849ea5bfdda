"""Hard sharing within groups of outcomes, and none between them."""

from __future__ import annotations

from torch import Tensor, nn

from domains.errors import InputError
from models.multitask.shape import Shape
from models.multitask.sharing.hard import Hard
from models.multitask.sharing.network import Network


class Grouped(Network):
    """A trunk a group, a head an outcome (Standley et al., ICML 2020, arXiv:1905.07553).

    Args:
        shape: Of the network; its groups hold every outcome once. None: all share one trunk.

    Raises:
        InputError: An outcome is in no group or in two, or a group names one that there is not.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        groups = shape.groups or (tuple(shape.sizes),)
        named = [name for group in groups for name in group]
        for name in {*named, *shape.sizes}:
            if named.count(name) != 1 or name not in shape.sizes:
                raise InputError(
                    f"groups: outcome {name} is named {named.count(name)} times, expected each of "
                    f"{', '.join(shape.sizes)} once"
                )
        self.networks = nn.ModuleList(Hard(shape.of(group)) for group in groups)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome, in the order of the shape."""
        found = {name: out for network in self.networks for name, out in network(x).items()}
        return {name: found[name] for name in self.names}

    def shared(self) -> list[nn.Parameter]:
        """The trunks of groups of more than one outcome."""
        return [parameter for part in self.independent() for parameter in part.shared()]

    def independent(self) -> list[Network]:
        """One a group."""
        return [network for network in self.networks if isinstance(network, Network)]
