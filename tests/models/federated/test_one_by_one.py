"""Clients one after the other, through Opacus, give what all at once give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.federated import FedAvg, run, stacked
from models.federated.clients import in_order
from models.federated.one_by_one import OneByOne
from models.federated.rounds import _draws
from models.federated.stack import Stack, parameters
from privacy.plan import Schedule
from tests.models.federated.sample_clients import SILENT, flat, net, sample_clients

RATE = 0.3
PLAN = replace(SILENT, rounds=2, local_steps=3)
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Own(nn.Linear):
    """May compute something else."""


@pytest.mark.parametrize("schedule", [PLAN, Schedule(1, 2, 0.4), Schedule(1, 2, 1.0)])
def test_one_by_one_gives_the_same_gradients(schedule: Schedule) -> None:
    clients, like = in_order(sample_clients()), parameters(net())
    params = Stack.of(like, len(clients))
    for part in params.parts:
        torch.nn.init.normal_(part, generator=torch.Generator().manual_seed(2))
    found = []
    for kind in (stacked.Stacked, OneByOne):
        out = Stack.of(like, len(clients))
        engine = kind(net(), clients, schedule)
        draws = _draws(0, 1, clients)
        for _ in range(2):  # the second step draws on
            engine.gradients(params.parts, out, draws, alike=False)
        found.append(out.flat)
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


@pytest.mark.parametrize("schedule", [PLAN, Schedule(1, 2, 1.0)])
def test_clients_that_take_no_part_are_left_alone(schedule: Schedule) -> None:
    clients, like = in_order(sample_clients((5, 9, 7))), parameters(net())
    params, found = Stack.of(like, 3), []
    params.fill(like)
    taking = np.array([True, False, True])
    for kind in (stacked.Stacked, OneByOne):
        out = Stack.of(like, 3)
        out.flat.fill_(1.0)
        kind(net(), clients, schedule).gradients(
            params.parts, out, _draws(0, 1, clients), alike=True, taking=taking
        )
        found.append(out.flat)
        assert (flat(out.parts).abs().sum(1) > 0).tolist() == taking.tolist()
    torch.testing.assert_close(*found, rtol=0, atol=1e-5)


def test_other_nets_train_through_opacus() -> None:
    clients = sample_clients()
    known, unknown = net((4,)), net((4,))
    unknown[0].__class__ = Own
    for model in (known, unknown):
        run(model, clients, PLAN, FedAvg(RATE))
    torch.testing.assert_close(flat(unknown), flat(known), rtol=0, atol=1e-5)
