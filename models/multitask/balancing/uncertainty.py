"""Weights by how uncertain each outcome remains."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.multitask.balancing.balance import Balance
from models.multitask.sharing.network import Network


class Uncertainty(Balance):
    """Homoscedastic uncertainty: Σ exp(−s)·loss + s, s learned an outcome.

    Kendall, Gal and Cipolla, CVPR 2018 (arXiv:1705.07115): loss/(2σ²) + log σ with s = log σ²,
    times two, so that it starts as equal weights. The paper leaves the half away where the loss is
    of classes; here every kind has it. No loss may fall below 0: its weight would grow for ever.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.log_variance = nn.Parameter(torch.zeros(count))

    def forward(self, losses: Tensor, network: Network) -> Tensor:  # noqa: ARG002 (one signature)
        """The weighted sum, and what keeps weights from vanishing."""
        return (torch.exp(-self.log_variance) * losses + self.log_variance).sum()
