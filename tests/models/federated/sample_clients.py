"""Clients of very different sizes, and nets that can be stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from models.federated import Client
from models.federated.clients import in_order
from models.federated.stack import Stack, State, parameters
from models.federated.stacked import Stacked
from privacy.plan import Schedule
from tests.privacy import sample_plans

WIDTH = 6
SIZES = (40, 3, 120, 1, 17)
SILENT = replace(sample_plans.SILENT, clip_norm=0.5)
SHAPES = ((), (5,), (5, 4))


def net(hidden: Sequence[int] = (5, 4), between: nn.Module | None = None) -> nn.Sequential:
    """A net from WIDTH numbers to a logit."""
    torch.manual_seed(0)
    widths, made = [WIDTH, *hidden], list[nn.Module]()
    for into, out in pairwise(widths):
        made += [nn.Linear(into, out), between or nn.Tanh()]
    return nn.Sequential(*made, nn.Linear(widths[-1], 1))


def sample_clients(sizes: Sequence[int] = SIZES, scale: float = 2.0) -> list[Client]:
    """So many records each; their order is not the engine's."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for number, rows in enumerate(sizes):
        x = scale * torch.randn(rows, WIDTH, generator=generator)
        y = (x[:, 0] + torch.randn(rows, generator=generator) > 0).float()
        made.append(Client(f"bank {number}", x, y, float(max(rows, 2))))
    return made


def gradients(model: nn.Module, clients: list[Client], schedule: Schedule) -> State:
    """One step's gradients of clients in their order, (clients, *shape) each."""
    ordered, like = in_order(clients), parameters(model)
    params, out = Stack.of(like, len(clients)), Stack.of(like, len(clients))
    params.fill(like)
    draws = [torch.Generator().manual_seed(i) for i in range(len(clients))]
    Stacked(model, ordered, schedule).gradients(params.parts, out, draws, alike=True)
    return out.parts


def flat(state: Sequence[Tensor] | nn.Module) -> Tensor:
    """All numbers of a model, or (clients, all numbers) of stacked ones."""
    if isinstance(state, nn.Module):
        return torch.cat([p.detach().flatten() for p in state.parameters()])
    return torch.cat([part.flatten(1) for part in state], dim=1)
