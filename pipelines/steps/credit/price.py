"""What privacy costs and what federation buys: the model at several ε, alone, together, pooled.

Under an ε, a lender alone and all records pooled train centrally with differential privacy: the
same engine and plan with one client. Without ε it is the same schedule without clipping and noise.
Bins and value lists are those of the run, at every ε. On public records alone: nobody is charged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from domains.banking.credit import PARTS
from models.credit import logits
from models.federated import Client
from pipelines.life.arms import once
from pipelines.progress import say
from pipelines.settings import CreditConfig
from pipelines.settings.credit import Privacy
from pipelines.stages import stage
from pipelines.steps.credit.charge import make_schedule
from pipelines.steps.credit.controls import ALONE, POOLED
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import (
    FEDERATED,
    fit,
    new_model,
    one_thread,
    projection,
    training_rows,
)
from pipelines.tracking import Job
from privacy.plan import PrivacyPlan, Schedule

ARMS = (ALONE, FEDERATED, POOLED)
DRAWS = 3
"""Trainings under each ε: what one run's noise makes of a model differs from the next one's."""
_AS_EVERYONE = {"strategy": "fedavg", "strategy_settings": {}, "participation": 1.0, "dropout": 0.0}


@dataclass(frozen=True)
class Priced:
    """One arm at one ε.

    Attributes:
        arm: One of `ARMS`.
        epsilon: None without privacy.
        scores: File of log-odds of the test records, (trainings, n), in the order of the loans;
            under `ALONE` by each lender's own model.
        seconds: Training time.
    """

    arm: str
    epsilon: float | None
    scores: Path
    seconds: float

    def read(self) -> np.ndarray:
        """Log-odds, (trainings, n)."""
        found: np.ndarray = np.load(self.scores)
        return found


@stage(kind="training")
def price(job: Job, prepared: Prepared) -> list[Priced]:
    """Every arm at every ε that the configuration names, and without privacy; none if it names
    none."""
    asked = job.config.priced(prepared.charged.table.public)
    points = [(epsilon, arm) for epsilon in [*asked, None] for arm in ARMS] if asked else []
    with one_thread():
        return [
            once(
                job, Priced, f"price {arm} {epsilon}", partial(_price, job, prepared, arm, epsilon)
            )
            for epsilon, arm in points
        ]


def _price(job: Job, prepared: Prepared, arm: str, epsilon: float | None) -> Priced:
    say(f"{arm}, {f'ε = {epsilon:g}' if epsilon else 'without ε'}")
    started = time.perf_counter()
    config = job.config.model_copy(
        update={"privacy": Privacy(epsilon=epsilon, delta=_delta(job.config)) if epsilon else None}
    )
    if arm != FEDERATED:
        config = config.model_copy(update=_AS_EVERYONE)
    charged = prepared.charged
    schedule = make_schedule(config, charged.table, charged.census)
    draws = DRAWS if isinstance(schedule, PrivacyPlan) else 1
    clients = prepared.clients(training_rows(prepared))
    trained = [_answers(prepared, config, schedule, arm, clients) for _ in range(draws)]
    path = job.folder / f"price-{arm}-{epsilon}.npy"
    np.save(path, np.stack(trained).astype(np.float32))
    return Priced(arm, epsilon, path, time.perf_counter() - started)


def _delta(config: CreditConfig) -> float:
    return config.privacy.delta if config.privacy else Privacy().delta


def _answers(
    prepared: Prepared,
    config: CreditConfig,
    schedule: Schedule,
    arm: str,
    clients: Sequence[Client],
) -> np.ndarray:
    """Log-odds of the test records by one training, or by one training a lender, (n,)."""
    facts = prepared.facts
    rows = np.flatnonzero(facts["part"] == "test")
    holder, found = facts["client"].to_numpy()[rows], np.zeros(len(rows))
    if arm == ALONE:
        parties = [([own], rows[holder == own.name], holder == own.name) for own in clients]
    else:
        own = list(clients) if arm == FEDERATED else [_everyone(prepared)]
        parties = [(own, rows, np.ones(len(rows), dtype=bool))]
    for party, asked, mine in parties:
        among = _of(prepared, party)
        model = new_model(among, config, schedule)
        fit(model, party, schedule, config, project=projection(among, config), checkpoint=None)
        found[mine] = logits(model, prepared.codes[asked])
    return found


def _of(prepared: Prepared, party: Sequence[Client]) -> Prepared:
    """The same loans with the public numbers of those who train, by which trees are sized."""
    charged = prepared.charged
    sizes = {each.name: round(each.records / PARTS["train"]) for each in party}
    census = replace(charged.census, sizes=sizes)
    return replace(prepared, charged=replace(charged, census=census))


def _everyone(prepared: Prepared) -> Client:
    """All training records in one place."""
    rows, y = training_rows(prepared), prepared.facts["y"].to_numpy()
    features, target = torch.from_numpy(prepared.codes[rows]), torch.from_numpy(y[rows])
    return Client("all", features, target, PARTS["train"] * sum(prepared.sizes.values()))
