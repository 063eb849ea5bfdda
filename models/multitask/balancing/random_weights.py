"""Random weights, new ones every step."""

from __future__ import annotations

import torch
from torch import Tensor

from models.multitask.balancing.balance import Balance
from models.multitask.sharing.network import Network


class RandomWeights(Balance):
    """Random loss weighting (Lin et al., TMLR 2022, arXiv:2111.10603): the control of balancing.

    Weights are the softmax of normal numbers, times the number of outcomes.
    """

    def forward(self, losses: Tensor, network: Network) -> Tensor:  # noqa: ARG002 (one signature)
        """The weighted sum."""
        weights = torch.randn(self.count).softmax(dim=0)
        return self.count * (weights * losses).sum()
