"""Loans in bins at a few banks, and trees to grow on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from domains.banking.features import Categorical, Derived, Numeric
from models.credit_encoding import Coding, Encoder
from models.federated import Client
from models.trees import Boosting, Trees, build, run
from privacy.plan import PrivacyPlan, Schedule
from tests.domains.sample_loans import sample_loans

ENCODER = Encoder(
    (
        Numeric("amount", (0.0, 5e3, 1e4, 3e4, 6e4, 1e6)),
        Numeric("income", (0.0, 2e4, 3e4, 5e4, 1e6)),
        Categorical("purpose", ("car", "home", "trade")),
        Numeric("burden", (0.0, 0.3, 0.5, 1.0, 2.0, 4.0)),
    ),
    (Derived("burden", "share", ("amount", "income")),),
    Coding("bins"),
)
OPEN = Schedule(rounds=6, local_steps=4, sampling_rate=1.0)
HOW = Boosting(0.8, momentum=0.3, ridge=1.0)


def private(schedule: Schedule = OPEN, noise: float = 1.0, clip_norm: float = 1.0) -> PrivacyPlan:
    """A plan of some noise; its ε is of no interest here."""
    return PrivacyPlan(
        **vars(schedule), epsilon=1.0, delta=1e-5, noise_multiplier=noise, clip_norm=clip_norm
    )


def banks(sizes: Sequence[int] = (400, 150, 50)) -> list[Client]:
    """So many loans each."""
    frame = sample_loans(sum(sizes))
    codes = torch.from_numpy(ENCODER.encode(frame)).split(list(sizes))
    target = torch.from_numpy(frame["defaulted"].to_numpy(dtype=np.float32)).split(list(sizes))
    return [
        Client(f"bank {number}", x, y, float(max(len(y), 1)))
        for number, (x, y) in enumerate(zip(codes, target, strict=True))
    ]


def empty(client: Client) -> Client:
    """The same client without a record."""
    return Client(client.name, client.features[:0], client.target[:0], client.records)


def sapling(schedule: Schedule = OPEN, depth: int = 3, seed: int = 0) -> Trees:
    """Trees that know nothing yet, as many as the schedule has steps."""
    return build(ENCODER, schedule.steps, depth, 2, seed)


def grown(
    clients: Sequence[Client], schedule: Schedule = OPEN, how: Boosting = HOW, seed: int = 0
) -> Trees:
    """Trained trees."""
    model = sapling(schedule, seed=seed)
    run(model, clients, schedule, how)
    return model
