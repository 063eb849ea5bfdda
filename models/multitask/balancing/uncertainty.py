"""Weights by how uncertain each outcome remains."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.multitask.balancing.balance import Balance
from models.multitask.sharing.network import Network


class Uncertainty(Balance):
    """Homoscedastic uncertainty: Σ exp(−s)·loss + s, s learned an outcome.

    Kendall, Gal and Cipolla, CVPR 2018 (arXiv:1705.07115), in the form of Liebel and Körner
    (arXiv:1805.06334) without the halves, so that it starts as equal weights.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.log_variance = nn.Parameter(torch.zeros(count))

    def forward(self, losses: Tensor, network: Network) -> Tensor:  # noqa: ARG002 (one signature)
        """The weighted sum, and what keeps weights from vanishing."""
        return (torch.exp(-self.log_variance) * losses + self.log_variance).sum()
