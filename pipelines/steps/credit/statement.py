"""What a credit run spent of whose budget: the privacy part of its evidence."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from opacus.accountants import PRVAccountant, RDPAccountant

from domains.banking.credit import PARTS
from pipelines.settings import open_ledger
from pipelines.steps.credit.charge import Charged
from pipelines.steps.credit.growth import size_of
from pipelines.tracking import Job
from privacy.accounting import epsilon_of
from privacy.plan import PrivacyPlan

_POINTS = 5  # each costs about a second


def statement(job: Job, charged: Charged, codes: int) -> dict[str, Any] | None:
    """Unit, ε, δ, owners with their budgets, the plan's numbers and the ledger's head.

    With the public numbers of training records and the number of `codes` of a record, which are
    what an audit needs to run the plan again.

    ε is that of everything the job was charged for: the plan, and what had to be noised a second
    time where the job was killed and taken up again.
    """
    plan = charged.plan
    if plan is None:
        return None
    ledger = open_ledger()
    events = ledger.charged(job.run_id)
    each = {owner: epsilon_of(events[owner], plan.delta) for owner in charged.owners}
    most = max(each, key=lambda owner: each[owner])
    further = len(events[most]) - len(plan.events())
    length, head = ledger.head()
    return {
        "unit": "record",
        "epsilon": each[most],
        "delta": plan.delta,
        "target_epsilon": plan.epsilon,
        "owners": {
            owner: {"epsilon": each[owner], "spent": spent, "granted": granted}
            for owner, spent, granted in budgets(charged)
        },
        "noise_multiplier": plan.noise_multiplier,
        "clip_norm": plan.clip_norm,
        "sampling_rate": plan.sampling_rate,
        "rounds": plan.rounds,
        "local_steps": plan.local_steps,
        "setup_columns": plan.setup_columns,
        "setup_noise_multiplier": plan.setup_noise_multiplier,
        "setup_delta": plan.setup_delta,
        "shape": {
            "training_records": [PARTS["train"] * size for size in charged.census.sizes.values()],
            "codes": codes,
            **_of_trees(job, charged, codes),
        },
        "accountant": "PLD (dp-accounting)",
        "checked_by": checks(events[most], plan.delta),
        "ledger": {"id": ledger.name, "length": length, "head": head},
        **({"charged_again": further} if further else {}),
    }


def _of_trees(job: Job, charged: Charged, features: int) -> dict[str, int]:
    """Levels of the job's trees; nothing for another model."""
    if job.config.model != "trees":
        return {}
    return {"depth": size_of(job.config, charged, charged.schedule, features).depth}


def budgets(charged: Charged) -> list[tuple[str, float, float]]:
    """Owner, ε spent by all jobs so far, ε granted."""
    found = {budget.owner: budget for budget in open_ledger().budgets()}
    return [
        (owner, found[owner].epsilon_spent, found[owner].epsilon_granted)
        for owner in charged.owners
    ]


def checks(events: Sequence[Mapping[str, Any]], delta: float) -> dict[str, float]:
    """ε of the same steps by Opacus' RDP and PRV accountants: other mathematics, same promise."""
    noised = [event for event in events if "sigma" in event]
    steps = [(event["sigma"], event.get("q", 1.0), event["count"]) for event in noised]
    apart = sum(event["delta"] * event["count"] for event in events if "delta" in event)
    found = {}
    for name, accountant in (("opacus_rdp", RDPAccountant()), ("opacus_prv", PRVAccountant())):
        accountant.history = list(steps)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of grids that could be finer: the bound is valid
            found[name] = float(accountant.get_epsilon(delta - apart))
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
