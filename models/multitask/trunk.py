"""The part of a network that outcomes may share, layer by layer.

A trunk is an ensemble of members, perhaps of one: (n, inputs) → (n, members, hidden).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from rtdl_num_embeddings import PiecewiseLinearEncoding
from tabm import EnsembleView, LinearBatchEnsemble, LinearEnsemble, MLPBackbone
from torch import Tensor, nn

from models.multitask.shape import Shape

LAYERS = 2
_PIECES = 12  # of a number's range, equally full where it is normal
_FURTHEST = 3.1  # standard deviations: the ends of `domains.healthcare.cohort.features.Number`
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


class Heads(nn.ModuleList):
    """Each outcome's own layer, in order, (n, members, hidden) → (n, members, size).

    Called as a whole they answer from one representation, in one product.
    """

    def forward(self, x: Tensor) -> list[Tensor]:
        """All outcomes' logits from a trunk that they share."""
        layers = [own.risk if isinstance(own, Proportional) else own for own in self]
        weights, biases = zip(*(_members(layer) for layer in layers), strict=True)
        bias, weight = torch.cat(biases, dim=-1), torch.cat(weights, dim=-1)
        out = torch.baddbmm(bias, x.transpose(0, 1), weight).transpose(0, 1)
        each = out.split([weight.shape[-1] for weight in weights], dim=-1)
        return [
            own.hazards(one) if isinstance(own, Proportional) else one
            for own, one in zip(self, each, strict=True)
        ]


def heads(shape: Shape) -> Heads:
    """Fresh layers for all outcomes of a shape."""
    return Heads(
        Proportional(shape, size) if name in shape.proportional else _linear(shape, size)
        for name, size in shape.sizes.items()
    )


def _linear(shape: Shape, size: int) -> nn.Linear | LinearEnsemble:
    if shape.members > 1:
        return LinearEnsemble(shape.hidden, size, k=shape.members)
    return nn.Linear(shape.hidden, size)


def _members(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights (members, hidden, size) and biases (members, 1, size) of either kind of layer."""
    if isinstance(layer, nn.Linear):
        return layer.weight.T[None], layer.bias[None, None]
    return layer.get_parameter("weight"), layer.get_parameter("bias")[:, None]


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
        return self.hazards(self.risk(x))

    def hazards(self, risk: Tensor) -> Tensor:
        """The same from each record's risk, (n, members, 1)."""
        cumulative = torch.exp((self.baseline + risk).clamp(-20.0, 3.0))
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
    widths = [enter.width] + [shape.hidden] * LAYERS
    inits = [("random-signs", "ones")] + ["ones"] * (LAYERS - 1)  # as `tabm` starts them
    blocks = nn.ModuleList(
        nn.Sequential(
            Layer(width, shape.hidden, k=shape.members, scaling_init=init),
            nn.ReLU(),
            Dropout(_DROPOUT["tabm"]),
        )
        for width, init in zip(widths, inits, strict=False)
    )
    return enter, blocks


class Layer(LinearBatchEnsemble):
    """Its scales go onto the weights, not onto every record: half the time of a step.

    Members of a first layer see the same records, whose gradient nobody needs, and of the others
    each is one product.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(n, members, in) → (n, members, out)."""
        weight = self.weight.T * self.r[:, :, None] * self.s[:, None, :]
        bias = self.get_parameter("bias")[:, None]
        return torch.baddbmm(bias, x.transpose(0, 1), weight).transpose(0, 1)


class Dropout(nn.Module):
    """Dropout that draws a byte a number, eight to a word of torch's generator: many times quicker.

    Args:
        p: Share that is dropped, in steps of 1/256.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self._dropped = round(256 * p)

    def forward(self, x: Tensor) -> Tensor:
        """x in eval mode; in training with numbers dropped and the others scaled up."""
        if not self.training:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self._dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - self._dropped))


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
