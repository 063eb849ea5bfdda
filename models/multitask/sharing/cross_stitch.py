"""Cross-stitch sharing: a trunk an outcome, whose layers are mixed as the outcomes find useful."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from domains.errors import InputError
from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.multitask.trunk import LAYERS, Trunk, heads


class CrossStitch(Network):
    """After every hidden layer each outcome takes a learned mixture of all outcomes' activations.

    Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016 (arXiv:1604.03539).

    Args:
        shape: Of the network.
        own: What an outcome's own activations count at the start; the others have the rest.

    Raises:
        InputError: That is no share.
    """

    told = "a trunk an outcome, their layers mixed as learned"

    def __init__(self, shape: Shape, *, own: float = 0.9) -> None:
        if not 0.0 <= own <= 1.0:
            raise InputError(f"own: found {own:g}, expected 0 to 1")
        super().__init__(shape)
        count = len(shape.sizes)
        self.trunks = nn.ModuleList(Trunk(shape) for _ in shape.sizes)
        self.heads = heads(shape)
        start = torch.full((LAYERS, count, count), (1.0 - own) / max(count - 1, 1))
        start.diagonal(dim1=1, dim2=2).fill_(own if count > 1 else 1.0)
        self.stitches = nn.Parameter(start)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome."""
        each = torch.stack([trunk.enter(x) for trunk in self._trunks()])
        for layer, stitch in enumerate(self.stitches):
            moved = [t.blocks[layer](one) for t, one in zip(self._trunks(), each, strict=True)]
            each = torch.tensordot(stitch, torch.stack(moved), dims=1)
        found = zip(self.names, self.heads, each, strict=True)
        return {name: own(one) for name, own, one in found}

    def shared(self) -> list[nn.Parameter]:
        """All trunks and their stitches: each outcome's loss reaches every one."""
        return [*self.trunks.parameters(), self.stitches] if len(self.names) > 1 else []

    def _trunks(self) -> list[Trunk]:
        return [trunk for trunk in self.trunks if isinstance(trunk, Trunk)]
