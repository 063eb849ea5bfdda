"""Hard sharing: one trunk for all outcomes, one head each."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from models.multitask.trunk import Trunk


class Hard(nn.Module):
    """Hard parameter sharing (Caruana, 1997).

    Every outcome's loss shapes the one trunk: outcomes with few labels borrow from the others,
    and outcomes that disagree may hurt each other (interference).

    Args:
        inputs: Width of the encoded features.
        sizes: Outputs of each outcome's head.
        hidden: Width of the trunk.
    """

    def __init__(self, inputs: int, sizes: Mapping[str, int], hidden: int) -> None:
        super().__init__()
        self.names = tuple(sizes)
        self.trunk = Trunk(inputs, hidden)
        self.heads = nn.ModuleList(nn.Linear(hidden, size) for size in sizes.values())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(n, inputs) → logits (n, size) of every outcome."""
        shared = self.trunk(x)
        return {name: head(shared) for name, head in zip(self.names, self.heads, strict=True)}

    def independent(self) -> list[nn.Module]:
        """Parts that share no parameter, to be trained and stopped apart: here the whole."""
        return [self]
