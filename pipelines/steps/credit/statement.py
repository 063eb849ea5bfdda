"""What a credit run spent of whose budget: the privacy part of its evidence."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from opacus.accountants import PRVAccountant, RDPAccountant

from pipelines.settings import ledger_path
from pipelines.steps.credit.charge import Charged
from privacy.accounting import epsilon_of
from privacy.ledger import Ledger
from privacy.plan import PrivacyPlan

_POINTS = 5  # each costs about a second


def statement(charged: Charged) -> dict[str, Any] | None:
    """Unit, ε, δ, owners with their budgets, the plan's numbers and the ledger's head."""
    plan = charged.plan
    if plan is None:
        return None
    ledger = Ledger(ledger_path())
    budgets = {b.owner: b for b in ledger.budgets() if b.owner in charged.owners}
    spent = plan.spent()
    length, head = ledger.head()
    return {
        "unit": "record",
        "epsilon": spent,
        "delta": plan.delta,
        "target_epsilon": plan.epsilon,
        "owners": {
            owner: {
                "epsilon": spent,
                "spent": budgets[owner].epsilon_spent,
                "granted": budgets[owner].epsilon_granted,
            }
            for owner in charged.owners
        },
        "noise_multiplier": plan.noise_multiplier,
        "clip_norm": plan.clip_norm,
        "sampling_rate": plan.sampling_rate,
        "rounds": plan.rounds,
        "local_steps": plan.local_steps,
        "setup_columns": plan.setup_columns,
        "accountant": "PLD (dp-accounting)",
        "checked_by": checks(plan),
        "ledger": {"length": length, "head": head},
    }


def checks(plan: PrivacyPlan) -> dict[str, float]:
    """ε of the same steps by Opacus' RDP and PRV accountants: other mathematics, same promise."""
    steps = [(plan.noise_multiplier, plan.sampling_rate, plan.steps)]
    if plan.setup_noise_multiplier is not None:
        steps.append((plan.setup_noise_multiplier, 1.0, 1))
    delta = plan.delta - plan.setup_delta
    found = {}
    for name, accountant in (("opacus_rdp", RDPAccountant()), ("opacus_prv", PRVAccountant())):
        accountant.history = list(steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of grids that could be finer: the bound is valid
            found[name] = float(accountant.get_epsilon(delta))
    return found


def by_round(plan: PrivacyPlan) -> tuple[list[int], list[float]]:
    """Some rounds, the last among them, and ε of everything up to the end of each."""
    rounds = np.unique(np.linspace(1, plan.rounds, min(plan.rounds, _POINTS)).round().astype(int))
    training, *setup = plan.events()
    spent = [
        epsilon_of([{**training, "count": int(r) * plan.local_steps}, *setup], plan.delta)
        for r in rounds
    ]
    return [int(r) for r in rounds], spent
