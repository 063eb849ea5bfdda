"""A network whose weak outcomes are answered by networks of their own."""

from __future__ import annotations

from torch import Tensor

from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.multitask.sharing.none import Separate

SINGLE, BOOSTING = "single-task", "boosting"
"""What may answer an outcome in place of the network that all share."""


class Patched(Network):
    """All outcomes of one network, but for some, which single-outcome networks answer.

    Args:
        shape: Of the whole.
        main: Answers every outcome.
        own: Outcomes that it is not trusted with.
    """

    def __init__(self, shape: Shape, main: Network, own: tuple[str, ...]) -> None:
        super().__init__(shape)
        self.main, self.own = main, Separate(shape.of(own))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome."""
        return {**self.main(x), **self.own(x)}

    def take(self, other: Network) -> None:
        """The weights of single-outcome networks that were trained for all outcomes."""
        trained = {network.names: network for network in other.independent()}
        for network in self.own.independent():
            network.load_state_dict(trained[network.names].state_dict())
