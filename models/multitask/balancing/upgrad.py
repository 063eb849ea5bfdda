"""Steps that no outcome's loss rises along."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor
from torchjd.aggregation import UPGrad as Unconflicting
from torchjd.linalg import DualConeProjector

from models.multitask.balancing.balance import Balance
from models.multitask.gradients import combined
from models.multitask.sharing.network import Network

_RIDGE = 1e-4  # of the Gramian's trace, so that gradients that point alike have one solution


class UPGrad(Balance):
    """Each gradient projected onto the cone that conflicts with none, then averaged, by torchjd.

    Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization", 2024 (arXiv:2406.16232).
    """

    needs_shared = True

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._aggregate = Unconflicting(projector=LeastSquares())

    def forward(self, losses: Tensor, network: Network) -> Tensor:
        """A loss whose gradient is their mean, times the number of outcomes."""
        return combined(losses, network, lambda jacobian: self.count * self._aggregate(jacobian))


class LeastSquares(DualConeProjector):
    """The projection by SciPy: torchjd's own needs a solver under the GPL.

    min vᵀGv over v ≥ u is, with G = AᵀA and v = u + w, min ‖Aw + Au‖ over w ≥ 0.
    """

    def __call__(self, U: Tensor, G: Tensor) -> Tensor:
        """Weights of projections: of each u in U (…, m) under the Gramian G (m, m)."""
        gramian = G.detach().double().numpy()
        values, vectors = np.linalg.eigh(gramian / max(float(np.trace(gramian)), 1e-12))
        root = np.sqrt(np.clip(values, 0.0, None) + _RIDGE)[:, None] * vectors.T
        found = [u + nnls(root, -root @ u)[0] for u in U.detach().double().numpy()]
        return torch.as_tensor(np.array(found), dtype=G.dtype)
