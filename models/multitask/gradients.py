"""Outcomes' gradients on what they share: put together, or compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.multitask.sharing.network import Network


def combined(losses: Tensor, network: Network, aggregate: Callable[[Tensor], Tensor]) -> Tensor:
    """A loss of the value of the sum whose gradient on shared parameters is an aggregate.

    Parameters of one outcome alone keep that outcome's gradient.

    Args:
        losses: (m,), of outcomes that share parameters.
        network: Whose parameters they depend on.
        aggregate: Jacobian (m, p) of the losses on the p shared parameters → gradient (p,).
    """
    common = network.shared()
    shared = {id(parameter) for parameter in common}
    own = [p for p in network.parameters() if p.requires_grad and id(p) not in shared]
    direction = aggregate(jacobian(losses, common))
    moves = [*zip(common, _split(direction, common), strict=True)]
    moves += zip(own, _gradients(losses.sum(), own), strict=True)
    value = torch.stack([(parameter * move).sum() for parameter, move in moves]).sum()
    return losses.sum().detach() + value - value.detach()


def jacobian(losses: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """Gradient of each loss (m,) on parameters of p numbers, (m, p)."""
    rows = [_gradients(loss, parameters) for loss in losses]
    return torch.stack([torch.cat([each.flatten() for each in row]) for row in rows])


def cosines(losses: Tensor, network: Network) -> Tensor:
    """Cosine between the outcomes' gradients on what they share, (m, m): below 0 they conflict."""
    unit = functional.normalize(jacobian(losses, network.shared()), dim=1)
    return unit @ unit.T


def _gradients(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    if not parameters:
        return []
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]


def _split(flat: Tensor, like: Sequence[nn.Parameter]) -> list[Tensor]:
    pieces = flat.split([parameter.numel() for parameter in like])
    return [piece.view_as(parameter) for piece, parameter in zip(pieces, like, strict=True)]
