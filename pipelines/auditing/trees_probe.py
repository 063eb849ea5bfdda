"""Single records in boosted trees, without noise: how far one moves a tree's sums, and how often.

Clients with the same records differ in one. Whoever coordinates chooses the leaves' values, and so
the log-odds at which a record is looked at: many are tried, among them those of the longest pair.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.federated import Client
from models.trees.leaves import Floats
from pipelines.auditing.claim import Claim
from pipelines.auditing.probe import Probed
from pipelines.auditing.synthetic import name_of
from pipelines.auditing.trees_attack import canary_of, records_at, watch

_LOG_ODDS = (0.0, -0.481, 0.481, -2.0, 2.0, -40.0, 40.0)
_OUTCOMES = {"paid": 0.0, "defaulted": 1.0, "neither of both": 1e30}
_ROWS, _PLACES, _OWN = 8, 4, 1


def probe(claim: Claim) -> Probed:
    """Difference that one record makes to a tree, by kind, and the number of trees in a round."""
    plan = replace(claim.plan, rounds=len(_LOG_ODDS), noise_multiplier=0.0)
    shown: list[Floats] = []

    def see(told: Floats) -> Floats:
        shown.append(told[1:] - told[0])
        now, then = _LOG_ODDS[len(shown) - 1], (*_LOG_ODDS, 0.0)[len(shown)]
        return np.full(told.shape[1:3], then - now)

    watch(_clients(), plan, _PLACES, see)
    lengths = np.stack([np.sqrt((each**2).sum(axis=(2, 3))).max(axis=1) for each in shown])
    worst = np.nan_to_num(lengths.max(axis=0) / plan.clip_norm, nan=np.inf).tolist()
    pair, strength = canary_of(plan)
    along = (shown[0][0] @ pair).sum() / (plan.clip_norm * strength)
    return Probed(dict(zip(_OUTCOMES, worst, strict=True)), float(along))


def _clients() -> list[Client]:
    """One as it is, and for each kind of record one that has it too, in a place of its own."""
    clients = [records_at(name_of(0), [0] * _ROWS, 0.0, _ROWS)]
    for number, outcome in enumerate(_OUTCOMES.values(), start=1):
        more = records_at(name_of(number), [*[0] * _ROWS, _OWN], 0.0, _ROWS)
        more.target[-1] = outcome
        clients.append(more)
    return clients
