"""How long a scorecard's steps are, from public numbers: records, clients, steps and their noise.

Training from zero and ending early is a ridge: after T steps of length η with momentum β, what the
loss curves by less than (1 − β)/(η·T) is not learned. Noise of deviation s, in the mean gradient of
all steps and clients, drowns what it curves by less than a multiple of s. So η is such that

    η·T/(1 − β) · s  ≤  LOUD

and at most `QUIET`. Every number of it is the plan's, or public: no record has a say.

`LOUD` was chosen on calibration records of two public sets and other splits than any that is
reported: credit cards in Taiwan at 10 clients (ε 1 and 3) and loans of the SBA at 20 large and 200
small ones (ε 1, 3 and 8). It acts where noise is loud, on both at ε 1, and leaves the rest alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.federated.clients import Client
from models.federated.screening import expected_noise
from models.federated.terms import EVERYONE, Terms
from privacy.plan import Schedule

QUIET = 1.1
"""Length of a step where noise is no reason for a shorter one."""
LOUD = 0.3
"""Noise that all steps together may take in."""


def fitting_rate(
    clients: Sequence[Client], schedule: Schedule, momentum: float, terms: Terms = EVERYONE
) -> float:
    """The learning rate for these public numbers.

    Args:
        clients: Whose numbers of records are public.
        schedule: Steps, and a `PrivacyPlan`'s noise.
        momentum: β, of the rounds' steps.
        terms: How many clients take part in a round, and with what weight.
    """
    noise = _deviation(clients, schedule, terms)
    longest = LOUD * (1.0 - momentum) / schedule.steps
    return QUIET if noise * QUIET <= longest else longest / noise


def _deviation(clients: Sequence[Client], schedule: Schedule, terms: Terms) -> float:
    """Of one number of the mean gradient over all steps, the clients weighed; 0 without noise."""
    each = expected_noise(schedule, clients, 1.0, 1).double() / schedule.local_steps
    sizes = [client.records if terms.weights == "size" else 1.0 for client in clients]
    shares = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    drawn = terms.drawn(len(clients)) / len(clients)
    return float((shares * each).norm()) / (drawn * schedule.rounds) ** 0.5
