"""The engine without noise, on single records: how far one can move a sum, and how often it does.

Noise is switched off, so that what is left can be measured to a part in a thousand; clients with
the same records differ in one, and everything else is the run's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.federated import Client
from pipelines.auditing.claim import Claim
from pipelines.auditing.synthetic import (
    STILL,
    Layout,
    background,
    canary_of,
    canary_rows,
    size_of_a_canary,
    start_of,
)
from pipelines.auditing.watched import State, rate_for, watch
from privacy.plan import PrivacyPlan

_EVERYBODY = 1.0 - 1e-12  # still Poisson sampling, of everyone
_ROWS = 8
_VISIBLE = 0.1  # how far one gradient moves a client's parameters


@dataclass(frozen=True)
class Probed:
    """What single records did.

    Attributes:
        moves: Kind of record → how far it moved a step's sum, over the clip norm; infinite where
            the sum was no number any more.
        steps: Sums that leave a client in one round, as one record's weight in them tells.
    """

    moves: dict[str, float]
    steps: float


def probe(claim: Claim) -> Probed:
    """Difference that one record makes, by kind, and the number of steps in which it does."""
    layout = Layout(claim.codes, 1, 0)
    return Probed(_moves(claim, layout), _steps(claim, layout))


def _quiet(plan: PrivacyPlan, local_steps: int) -> PrivacyPlan:
    sampling = plan.sampling_rate if plan.sampling_rate == 1.0 else _EVERYBODY
    return replace(
        plan, rounds=1, local_steps=local_steps, sampling_rate=sampling, noise_multiplier=0.0
    )


def _records(layout: Layout, clip_norm: float) -> dict[str, Tensor]:
    """Records that try to be more than one: in one column, in all, and beyond all numbers."""
    size = size_of_a_canary(clip_norm)
    return {
        "one enormous value": canary_rows(layout, [0], size),
        "enormous everywhere": torch.full((1, layout.width), size),
        "beyond single precision": torch.full((1, layout.width), 1e30),
        "ordinary": background(layout, 1)[0],
    }


def _moves(claim: Claim, layout: Layout) -> dict[str, float]:
    plan = _quiet(claim.plan, local_steps=1)
    odd = _records(layout, plan.clip_norm)
    rate = rate_for(plan, _ROWS, _VISIBLE)
    changes = _changes(claim, layout, plan, rate, list(odd.values()))
    flat = torch.cat([each.flatten(1) for each in changes], dim=1)
    lengths = torch.linalg.vector_norm(flat, dim=1) / _one_gradient(plan, rate)
    return dict(zip(odd, lengths.nan_to_num(nan=float("inf")).tolist(), strict=True))


def _steps(claim: Claim, layout: Layout) -> float:
    """The way a canary's column goes in a round, in clipped gradients."""
    plan = _quiet(claim.plan, claim.plan.local_steps)
    canary = canary_of(claim, layout)
    rate = rate_for(plan, _ROWS, STILL / canary.size)
    changes = _changes(claim, layout, plan, rate, [canary_rows(layout, [0], canary.size)])
    along = -float(changes[0][0, :, layout.codes] @ torch.from_numpy(canary.direction))
    return along / (_one_gradient(plan, rate) * canary.strength)


def _one_gradient(plan: PrivacyPlan, rate: float) -> float:
    """How far a gradient of length C moves a client's parameters."""
    return rate * plan.clip_norm / (plan.sampling_rate * _ROWS)


def _changes(
    claim: Claim, layout: Layout, plan: PrivacyPlan, rate: float, more: Sequence[Tensor]
) -> State:
    """What each further record changes in a client's update of one round, (records, *shape)."""
    x, y = background(layout, _ROWS)
    clients = [Client("as they are", x, y, float(_ROWS))]
    for number, row in enumerate(more):
        features, target = torch.cat([x, row]), torch.cat([y, torch.ones(1)])
        clients.append(Client(f"one more {number + 1}", features, target, float(_ROWS)))
    seen: State = []
    watch(start_of(claim, layout), clients, plan, rate, seen.extend)
    return [each[1:] - each[0] for each in seen]
