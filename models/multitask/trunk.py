"""The part of a network that outcomes may share, layer by layer.

A trunk is an ensemble of members, perhaps of one: (n, inputs) → (n, members, hidden).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from rtdl_num_embeddings import PiecewiseLinearEncoding
from tabm import EnsembleView, LinearEnsemble, MLPBackbone, MLPBackboneBatchEnsemble
from torch import Tensor, nn

from models.multitask.shape import Shape

LAYERS = 2
_PIECES = 12  # of a number's range, equally full where it is normal
_FURTHEST = 3.1  # standard deviations: the ends of `domains.healthcare.patient_features.Number`
_DROPOUT = {"mlp": 0.3, "tabm": 0.2}


class Trunk(nn.Module):
    """Records as each member of the ensemble sees them, and its hidden layers.

    Attributes:
        enter: (n, inputs) → (n, members, width).
        blocks: Hidden layers, each (n, members, ·) → (n, members, hidden).
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.enter, self.blocks = TRUNKS[shape.trunk](shape)

    def forward(self, x: Tensor) -> Tensor:
        """Representation of each record, (n, members, hidden)."""
        x = self.enter(x)
        for block in self.blocks:
            x = block(x)
        return x


def heads(shape: Shape) -> nn.ModuleList:
    """Each outcome's own layer, in order: (n, members, hidden) → (n, members, size)."""
    return nn.ModuleList(
        Proportional(shape, size) if name in shape.proportional else _linear(shape, size)
        for name, size in shape.sizes.items()
    )


def _linear(shape: Shape, size: int) -> nn.Module:
    if shape.members > 1:
        return LinearEnsemble(shape.hidden, size, k=shape.members)
    return nn.Linear(shape.hidden, size)


class Proportional(nn.Module):
    """Cox's model for grouped times: one risk a record, the same baseline hazard for everyone.

    log(−log(1 − hazard of an interval)) = the interval's baseline + risk (Cox, 1972; Prentice and
    Gloeckler, Biometrics 1978). Baseline and risk are learned by the full likelihood of the
    intervals, so that curves need no second step.
    """

    def __init__(self, shape: Shape, size: int) -> None:
        super().__init__()
        self.risk = _linear(shape, 1)
        self.baseline = nn.Parameter(torch.full((shape.members, size), -2.0))

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds of each interval's hazard, (n, members, size)."""
        cumulative = torch.exp((self.baseline + self.risk(x)).clamp(-20.0, 3.0))
        return torch.log(torch.expm1(cumulative))


def _mlp(shape: Shape) -> tuple[nn.Module, nn.ModuleList]:
    """A plain net, its one member."""
    net = MLPBackbone(
        d_in=shape.inputs, n_blocks=LAYERS, d_block=shape.hidden, dropout=_DROPOUT["mlp"]
    )
    return EnsembleView(k=1), net.blocks


def _tabm(shape: Shape) -> tuple[nn.Module, nn.ModuleList]:
    """Members that share their weights but for scales of each layer's ends, over numbers in pieces.

    Gorishniy et al., "TabM", ICLR 2025 (arXiv:2410.24210); Gorishniy et al., "On Embeddings for
    Numerical Features in Tabular Deep Learning", NeurIPS 2022 (arXiv:2203.05556).
    """
    enter = InPieces(shape)
    net = MLPBackboneBatchEnsemble(
        d_in=enter.width,
        n_blocks=LAYERS,
        d_block=shape.hidden,
        dropout=_DROPOUT["tabm"],
        k=shape.members,
        tabm_init=True,
        scaling_init="random-signs",
        start_scaling_init_chunks=None,
    )
    return enter, net.blocks


class InPieces(nn.Module):
    """Numbers as how far they reach into each piece of their range, beside themselves.

    Pieces end at quantiles of the normal distribution: numbers come on its scale, whatever they
    are, and so nothing more is learned of the records.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        share = torch.linspace(0.0, 1.0, _PIECES + 1, dtype=torch.float64)
        ends = torch.special.ndtri(share).clamp(-_FURTHEST, _FURTHEST).float()
        self._numbers = list(shape.numbers)
        self.pieces = (
            PiecewiseLinearEncoding([ends] * len(shape.numbers)) if shape.numbers else None
        )
        self.width = shape.inputs + _PIECES * len(shape.numbers)
        self.view = EnsembleView(k=shape.members)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) → (n, members, width)."""
        if self.pieces is not None:
            x = torch.cat([x, self.pieces(x[:, self._numbers])], dim=1)
        out: Tensor = self.view(x)
        return out


TRUNKS: dict[str, Callable[[Shape], tuple[nn.Module, nn.ModuleList]]] = {
    "mlp": _mlp,
    "tabm": _tabm,
}
"""Kinds of trunks by the names used in configurations."""
