"""A mixture of experts with a gate an outcome."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from domains.errors import InputError
from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.multitask.trunk import Trunk, heads


class MixtureOfExperts(Network):
    """Trunks that all may use, each outcome in its own, record by record learned proportions.

    Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts", KDD 2018.

    Args:
        shape: Of the network.
        experts: How many trunks.

    Raises:
        InputError: There cannot be so many.
    """

    told = "trunks for all, a gate and a head an outcome"

    def __init__(self, shape: Shape, *, experts: int = 4) -> None:
        if experts < 1 or experts != int(experts):
            raise InputError(f"experts: found {experts:g}, expected a whole number from 1")
        super().__init__(shape)
        self.experts = nn.ModuleList(Trunk(shape) for _ in range(int(experts)))
        self.gates = nn.ModuleList(nn.Linear(shape.inputs, int(experts)) for _ in shape.sizes)
        self.heads = heads(shape)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Logits of every outcome."""
        known = torch.stack([expert(x) for expert in self.experts])
        found = {}
        for name, gate, own in zip(self.names, self.gates, self.heads, strict=True):
            shares = gate(x).softmax(dim=1)
            found[name] = own(torch.einsum("ne,enmh->nmh", shares, known))
        return found

    def shared(self) -> list[nn.Parameter]:
        """The experts, if they serve more than one outcome."""
        return list(self.experts.parameters()) if len(self.names) > 1 else []
