"""No sharing: a network of its own for every outcome. The control for all that share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from models.multitask.hard import Hard


class Separate(nn.Module):
    """As many single-outcome networks as outcomes, each as large as the shared one.

    Args:
        inputs: Width of the encoded features.
        sizes: Outputs of each outcome's head.
        hidden: Width of each trunk.
    """

    def __init__(self, inputs: int, sizes: Mapping[str, int], hidden: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            Hard(inputs, {name: size}, hidden) for name, size in sizes.items()
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(n, inputs) → logits (n, size) of every outcome."""
        return {name: out for network in self.networks for name, out in network(x).items()}

    def independent(self) -> list[nn.Module]:
        """Parts that share no parameter, to be trained and stopped apart: one an outcome."""
        return list(self.networks)
