"""Hard sharing: one trunk for all outcomes, one head each."""

from __future__ import annotations

from torch import Tensor, nn

from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.multitask.trunk import Trunk, heads


class Hard(Network):
    """Hard parameter sharing (Caruana, "Multitask Learning", 1997).

    Every outcome's loss shapes the one trunk: outcomes with few labels borrow from the others,
    and outcomes that disagree may hurt each other (interference).
    """

    told = "one trunk, a head an outcome"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.trunk = Trunk(shape)
        self.heads = heads(shape)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome."""
        return dict(zip(self.names, self.heads(self.trunk(x)), strict=True))

    def shared(self) -> list[nn.Parameter]:
        """The trunk, if it serves more than one outcome."""
        return list(self.trunk.parameters()) if len(self.names) > 1 else []
