"""Nets of Linear layers and elementwise activations: every client's at once, without autograd.

For one record with inputs a and slopes δ at the outputs of a Linear layer, the layer's gradient is
δaᵀ (and δ for the bias), so its squared norm is ‖δ‖²(‖a‖² + 1): Goodfellow, "Efficient per-example
gradient computations" (2015, arXiv:1510.01799). No gradient of a single record is ever built.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_aten = torch.ops.aten
_SHY = 1.0 - 1e-6  # of the clip norm: float32 rounds, and no record may exceed C for that


@dataclass(frozen=True)
class _Activation:
    """How to apply one, and how to take slopes back through it.

    Attributes:
        forward: Module and outputs of a layer → activations.
        back: Module, slopes of the loss at the activations, and what was kept → slopes before.
        keeps_result: Whether `back` wants the activations rather than what they were made of.
    """

    forward: Callable[[Any, Tensor], Tensor]
    back: Callable[[Any, Tensor, Tensor], Tensor]
    keeps_result: bool


ACTIVATIONS: dict[type[nn.Module], _Activation] = {
    nn.ReLU: _Activation(
        lambda _, z: z.relu_(), lambda _, g, h: _aten.threshold_backward(g, h, 0.0), True
    ),
    nn.Tanh: _Activation(lambda _, z: z.tanh_(), lambda _, g, h: _aten.tanh_backward(g, h), True),
    nn.Sigmoid: _Activation(
        lambda _, z: z.sigmoid_(), lambda _, g, h: _aten.sigmoid_backward(g, h), True
    ),
    nn.GELU: _Activation(
        lambda m, z: functional.gelu(z, approximate=m.approximate),
        lambda m, g, z: _aten.gelu_backward(g, z, approximate=m.approximate),
        False,
    ),
    nn.SiLU: _Activation(
        lambda _, z: functional.silu(z), lambda _, g, z: _aten.silu_backward(g, z), False
    ),
    nn.LeakyReLU: _Activation(
        lambda m, z: functional.leaky_relu(z, m.negative_slope),
        lambda m, g, z: _aten.leaky_relu_backward(g, z, m.negative_slope, False),
        False,
    ),
    nn.Softplus: _Activation(
        lambda m, z: functional.softplus(z, m.beta, m.threshold),
        lambda m, g, z: _aten.softplus_backward(g, z, m.beta, m.threshold),
        False,
    ),
}
"""By exact type: a subclass may compute something else."""


@dataclass(frozen=True)
class Layer:
    """A Linear layer and the activation after it.

    Attributes:
        weight, bias: Places among the model's parameters; no bias is None.
        activation: None after the last layer.
    """

    weight: int
    bias: int | None
    activation: nn.Module | None


@dataclass
class Trace:
    """What a forward and backward pass leave of m records of each of k clients.

    Attributes:
        inputs: Of each layer, (k, m, in).
        slopes: Of the loss at each layer's outputs, (k, m, out).
    """

    inputs: list[Tensor]
    slopes: list[Tensor]


def layers_of(model: nn.Module) -> list[Layer] | None:
    """The layers of a net that can be stacked; None for every other.

    That is a Sequential of Linear layers, at most one known activation after each, and one logit
    at the end; every parameter trains, and is float32 on the CPU.
    """
    modules = list(_flat(model))
    known = all(type(m) is nn.Linear or type(m) in ACTIVATIONS for m in modules)
    plain = all(
        p.requires_grad and p.dtype == torch.float32 and p.device.type == "cpu"
        for p in model.parameters()
    )
    if not modules or not known or not plain or _hooked(model) or _tied(modules):
        return None
    return _paired(modules)


def _paired(modules: Sequence[nn.Module]) -> list[Layer] | None:
    layers: list[Layer] = []
    place = 0
    for module, following in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.Linear):
            after = None if following is None or type(following) is nn.Linear else following
            bias = None if module.bias is None else place + 1
            layers.append(Layer(place, bias, after))
            place += 1 if bias is None else 2
        elif following is not None and type(following) is not nn.Linear:
            return None  # two activations in a row
    last = modules[-1]
    starts_and_ends = type(modules[0]) is nn.Linear and isinstance(last, nn.Linear)
    return layers if starts_and_ends and last.out_features == 1 else None


def _flat(model: nn.Module) -> list[nn.Module]:
    if type(model) is not nn.Sequential:
        return [] if type(model) is nn.Identity else [model]
    return [inner for child in model for inner in _flat(child)]


def _hooked(model: nn.Module) -> bool:
    return any(
        m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules()
    )


def _tied(modules: Sequence[nn.Module]) -> bool:
    every = [id(parameter) for module in modules for parameter in module.parameters()]
    return len(every) != len(set(every))


def trace(
    layers: Sequence[Layer], params: Sequence[Tensor], x: Tensor, y: Tensor, pad: Tensor | None
) -> Trace:
    """Slopes of each record's own binary cross-entropy of logits.

    Args:
        layers: From `layers_of`.
        params: (k, *shape) each.
        x: (k, m, d).
        y: (k, m).
        pad: (k, m) bool, where rows are nobody's: their slopes are 0. None if there are none.
    """
    inputs, kept = [x], []
    for layer in layers:
        a = inputs[-1]
        weight = params[layer.weight].transpose(1, 2)
        bias = None if layer.bias is None else params[layer.bias].unsqueeze(1)
        z = torch.bmm(a, weight) if bias is None else torch.baddbmm(bias, a, weight)
        if layer.activation is None:
            kept.append(z)
            inputs.append(z)
            continue
        known = ACTIVATIONS[type(layer.activation)]
        h = known.forward(layer.activation, z)
        kept.append(h if known.keeps_result else z)
        inputs.append(h)
    slope = inputs.pop().sigmoid().sub_(y.unsqueeze(-1))
    if pad is not None:
        slope.masked_fill_(pad.unsqueeze(-1), 0.0)
    return Trace(inputs, _back(layers, params, slope, kept))


def _back(
    layers: Sequence[Layer], params: Sequence[Tensor], slope: Tensor, kept: Sequence[Tensor]
) -> list[Tensor]:
    slopes = [slope]
    for place in range(len(layers) - 1, 0, -1):
        weight, before = params[layers[place].weight], layers[place - 1]
        slope = slope * weight if weight.shape[1] == 1 else torch.bmm(slope, weight)
        if before.activation is not None:
            known = ACTIVATIONS[type(before.activation)]
            slope = known.back(before.activation, slope, kept[place - 1])
        slopes.append(slope)
    return slopes[::-1]


def clip(layers: Sequence[Layer], found: Trace, first: Tensor, norm: float) -> None:
    """Scale each record's gradient to at most `norm`, in place.

    A record whose gradient is not finite is left out, which changes the sum by no more than any
    record may; in the sum it would give itself away.

    Args:
        layers: From `layers_of`.
        found: From `trace`.
        first: ‖x‖² of the records, (k, m).
        norm: C, the largest L2 norm.
    """
    squares = torch.zeros_like(first)
    for layer, a, slope in zip(layers, found.inputs, found.slopes, strict=True):
        own = first if a is found.inputs[0] else _squares(a)
        own = own if layer.bias is None else own + 1.0
        squares.addcmul_(_squares(slope), own)
    if not bool(squares.sum().isfinite()):
        bad = ~squares.isfinite()
        squares.masked_fill_(bad, 0.0)
        for each in (found.inputs, found.slopes):
            each[:] = [t.masked_fill(bad.unsqueeze(-1), 0.0) for t in each]
    scale = squares.sqrt_().reciprocal_().mul_(norm * _SHY).clamp_(max=1.0).unsqueeze(-1)
    for slope in found.slopes:
        slope.mul_(scale)


def _squares(values: Tensor) -> Tensor:
    """‖row‖², (k, m) of (k, m, n)."""
    return torch.linalg.vector_norm(values, dim=-1).square_()


def add_sums(layers: Sequence[Layer], found: Trace, gradients: Sequence[Tensor]) -> None:
    """Add the records' gradients to each client's, (k, *shape)."""
    for layer, a, slope in zip(layers, found.inputs, found.slopes, strict=True):
        gradients[layer.weight].baddbmm_(slope.transpose(1, 2), a)
        if layer.bias is not None:
            gradients[layer.bias].add_(slope.sum(1))


def add_sums_of(
    layers: Sequence[Layer], found: Trace, gradients: Sequence[Tensor], rows: slice
) -> None:
    """Add the gradients of some rows of a trace with k = 1 to one client's, (*shape) each."""
    for layer, a, slope in zip(layers, found.inputs, found.slopes, strict=True):
        some = slope[0, rows]
        gradients[layer.weight].addmm_(some.T, a[0, rows])
        if layer.bias is not None:
            gradients[layer.bias].add_(some.sum(0))
