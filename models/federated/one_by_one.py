"""The gradients of all clients, one after the other: for every net that cannot be stacked.

Through Opacus, which knows how to clip the gradient of each record for many kinds of layer; the
guarantee is that of `privacy.dpsgd`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from models.federated.clients import Client, expected_batches
from models.federated.stack import Stack, State, load
from privacy.dpsgd import local_update, plain_update
from privacy.plan import PrivacyPlan, Schedule


class OneByOne:
    """Every client's gradient, whatever the net.

    Args:
        model: Layers without statistics of their own.
        clients: In their order.
        schedule: A `PrivacyPlan` clips and adds noise.

    Raises:
        InputError: An expected batch is not a positive number.
    """

    def __init__(self, model: nn.Module, clients: Sequence[Client], schedule: Schedule) -> None:
        self._model, self._clients = model, clients
        self._expected = expected_batches(clients, schedule.sampling_rate)
        self._step = replace(schedule, local_steps=1)

    def gradients(
        self,
        params: State,
        out: Stack,
        draws: Sequence[torch.Generator],
        alike: bool,
        taking: np.ndarray | None = None,
    ) -> None:
        """One step's gradients; see `stacked.Stacked.gradients`.

        Raises:
            InputError: A layer mixes records.
        """
        del alike
        out.flat.zero_()
        for place, (client, draw) in enumerate(zip(self._clients, draws, strict=True)):
            if taking is not None and not taking[place]:
                continue
            load(self._model, [part[place] for part in params])
            with _drawing_from(draw):
                self._update(client, self._expected[place])
            for part, before, after in zip(
                out.parts, params, self._model.parameters(), strict=True
            ):
                part[place] = before[place] - after.detach()

    def _update(self, client: Client, expected: float) -> None:
        """A step of length 1: what it takes off the parameters is the gradient."""
        where = (self._model, client.features, client.target)
        if isinstance(self._step, PrivacyPlan):
            local_update(*where, plan=self._step, expected_batch=expected, learning_rate=1.0)
        else:
            plain_update(*where, plan=self._step, expected_batch=expected, learning_rate=1.0)


@contextmanager
def _drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Within it torch's own generator is this one. Private sampling and noise take neither."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(generator.get_state())
        yield
        generator.set_state(torch.default_generator.get_state())
