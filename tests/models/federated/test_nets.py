"""Which nets can be stacked, and that their slopes and norms are right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from models.federated.clients import in_order
from models.federated.nets import ACTIVATIONS, layers_of
from privacy.dpsgd import mean_cross_entropy
from privacy.plan import Schedule
from tests.models.federated.sample_clients import (
    SILENT,
    WIDTH,
    flat,
    gradients,
    net,
    sample_clients,
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", ACTIVATIONS, ids=lambda kind: kind.__name__)
def test_every_activation_has_autograds_slope(kind: type[nn.Module]) -> None:
    clients = sample_clients()
    model = net((5, 4), kind())
    found = gradients(model, clients, Schedule(1, 1, 1.0))
    for place, client in enumerate(in_order(clients)):
        loss = mean_cross_entropy(model(client.features), client.target)
        expected = torch.autograd.grad(loss, list(model.parameters()))
        share = len(client.features) / client.records
        for part, each in zip(found, expected, strict=True):
            torch.testing.assert_close(part[place], share * each, rtol=1e-4, atol=1e-6)


def test_layers_without_a_bias_are_clipped_by_their_own_norm() -> None:
    model = nn.Sequential(nn.Linear(WIDTH, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    (client,) = clients = sample_clients((1,), scale=50.0)
    found = flat(gradients(model, clients, replace(SILENT, clip_norm=0.01)))
    assert float(found.norm()) * client.records == pytest.approx(0.01, rel=1e-5)


class Own(nn.Linear):
    """May compute something else."""


def unknown_nets() -> Iterator[nn.Module]:
    yield nn.Sequential(Own(WIDTH, 4), nn.Tanh(), nn.Linear(4, 1))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.Dropout(), nn.Linear(4, 1))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh(), nn.Linear(4, 2))
    yield nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh())
    yield nn.Sequential(nn.Tanh(), nn.Linear(WIDTH, 1))
    frozen = net()
    frozen[0].requires_grad_(False)
    yield frozen
    tied = nn.Linear(WIDTH, WIDTH)
    yield nn.Sequential(tied, tied, nn.Linear(WIDTH, 1))
    yield net().double()


@pytest.mark.parametrize("model", unknown_nets())
def test_only_nets_it_knows_are_stacked(model: nn.Module) -> None:
    assert layers_of(model) is None


def test_nested_nets_and_layers_in_a_row_are_known() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), nn.Linear(2, 2, bias=False))
    layers = layers_of(nn.Sequential(model, nn.Identity(), nn.Linear(2, 1)))
    assert layers is not None
    assert [(each.weight, each.bias) for each in layers] == [(0, 1), (2, None), (3, 4)]
