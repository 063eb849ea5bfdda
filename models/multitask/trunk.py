"""The part of a network that outcomes may share."""

from __future__ import annotations

from torch import Tensor, nn

DROPOUT = 0.3


class Trunk(nn.Module):
    """Two hidden layers with dropout: (n, inputs) → (n, hidden)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Representation of each record."""
        out: Tensor = self.layers(x)
        return out
