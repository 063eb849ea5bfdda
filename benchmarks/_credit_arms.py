"""AUROC of every model, alone, federated and pooled, at every ε, a repeat a seed.

`alone` and `pooled` under an ε are central training with differential privacy, on each lender's own
records and on all of them: the same engine with one client, the same plan. ε `none` is the same
schedule without clipping and noise. Every number is taken inside lenders, the mean over those with
enough test records of either outcome, for what lenders' own models say is not of one scale; that
of a shared model over all test records together is kept beside it.
"""

from __future__ import annotations

import functools
import itertools
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks._credit_data import config_of, loans, sets
from domains.banking.credit import PARTS
from domains.metrics import auroc
from models.checkpoint import Checkpoint
from models.credit import logits
from models.federated import Client
from pipelines.settings import CreditConfig
from pipelines.settings.credit import Privacy
from pipelines.steps.credit.charge import make_schedule
from pipelines.steps.credit.controls import ALONE, POOLED
from pipelines.steps.credit.prepare import Prepared, prepared_for
from pipelines.steps.credit.scores import Tested
from pipelines.steps.credit.training import FEDERATED, fit, new_model, one_thread, training_rows
from pipelines.tracking import Job
from privacy.plan import Schedule

EPSILONS: tuple[float | None, ...] = (1.0, 3.0, 8.0, None)
ARMS = (ALONE, FEDERATED, POOLED)
_plans: dict[tuple[object, ...], Schedule] = {}


@dataclass(frozen=True)
class Point:
    """One arm of one model at one ε: AUROC on test records, one a seed.

    Attributes:
        data, model, arm: What.
        epsilon: None without privacy.
        inside: Mean over lenders of the AUROC inside each.
        whole: Over all test records together.
    """

    data: str
    model: str
    arm: str
    epsilon: float | None
    inside: tuple[float, ...]
    whole: tuple[float, ...]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean over seeds and its 95 % interval, Student's."""
    mean = statistics.fmean(values)
    half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return mean, mean - half, mean + half


def how(epsilon: float | None) -> str:
    """An ε in words."""
    return f"ε = {epsilon:g}" if epsilon else "no privacy"


@functools.cache
def measured(scale: str, seeds: int) -> tuple[Point, ...]:
    """Every point, measured once a process; the other models are federated alone."""
    found: dict[tuple[str, str, str, float | None], list[tuple[float, float]]] = {}
    for data, seed in itertools.product(sets(), range(seeds)):
        print(f"AUROC: {data}, seed {seed}", file=sys.stderr)
        config = config_of(data, scale, seed)
        with loans(config) as (job, prepared), one_thread():
            for (model, arm, epsilon), areas in _of_one_split(job, prepared):
                found.setdefault((data, model, arm, epsilon), []).append(areas)
    return tuple(
        Point(*key, *(tuple(each) for each in zip(*areas, strict=True)))
        for key, areas in found.items()
    )


class _Unkept(Checkpoint):
    """None: a repeat that is cut short is begun again, and a thousand files need not be flushed."""

    def of(self, *_: object) -> Checkpoint:
        """Of any training."""
        return self

    def save(self, *_: Any) -> None:
        """Nothing."""


def under(config: CreditConfig, epsilon: float | None) -> CreditConfig:
    """The same job with this ε, or without privacy."""
    privacy = Privacy(epsilon=epsilon) if epsilon else None
    return config.model_copy(update={"privacy": privacy})


def plan_of(prepared: Prepared, config: CreditConfig) -> Schedule:
    """Rounds, steps and noise, calibrated once a process: bins are public and cost nothing."""
    epsilon = config.privacy.epsilon if config.privacy else None
    key = (config.model, config.scale, config.rounds, config.local_steps, epsilon)
    if key not in _plans:
        _plans[key] = make_schedule(config, prepared.charged.table, prepared.charged.census)
    return _plans[key]


def answers(
    prepared: Prepared, config: CreditConfig, clients: Sequence[Client], rows: np.ndarray
) -> np.ndarray:
    """Logits of the records among `rows` (zero elsewhere), (n,), by one training of its own."""
    schedule = plan_of(prepared, config)
    model, codes = new_model(prepared, config, schedule), prepared.codes
    unkept = _Unkept(prepared.folder / "none.safetensors")
    fit(model, clients, schedule, config, project=None, checkpoint=unkept)
    raw = np.zeros(len(codes))
    raw[rows] = logits(model, codes[rows])
    return raw


def _of_one_split(
    job: Job, prepared: Prepared
) -> Iterator[tuple[tuple[str, str, float | None], tuple[float, float]]]:
    config: CreditConfig = job.config
    for epsilon in EPSILONS:
        for arm, train in ((ALONE, _alone), (FEDERATED, _federated), (POOLED, _pooled)):
            raw = train(prepared, under(config, epsilon))
            yield (config.model, arm, epsilon), _areas(prepared, raw)
    for other in config.others():
        coded = prepared_for(job, prepared, other)
        for epsilon in EPSILONS:
            raw = _federated(coded, under(other, epsilon))
            yield (other.model, FEDERATED, epsilon), _areas(prepared, raw)


def _federated(prepared: Prepared, config: CreditConfig) -> np.ndarray:
    clients = prepared.clients(training_rows(prepared))
    return answers(prepared, config, clients, np.ones(len(prepared.codes), dtype=bool))


def _alone(prepared: Prepared, config: CreditConfig) -> np.ndarray:
    holder = prepared.facts["client"].to_numpy()
    each = prepared.clients(training_rows(prepared))
    return sum(
        (answers(prepared, config, [own], holder == own.name) for own in each),
        start=np.zeros(len(holder)),
    )


def _pooled(prepared: Prepared, config: CreditConfig) -> np.ndarray:
    rows, y = training_rows(prepared), prepared.facts["y"].to_numpy()
    features, target = torch.from_numpy(prepared.codes[rows]), torch.from_numpy(y[rows])
    every = Client("all", features, target, PARTS["train"] * sum(prepared.sizes.values()))
    return answers(prepared, config, [every], np.ones(len(y), dtype=bool))


def tested_of(prepared: Prepared, log_odds: dict[str, np.ndarray]) -> Tested:
    """Test records under some arms' log-odds, each (n,) of all records."""
    facts = prepared.facts
    rows = np.flatnonzero((facts["part"] == "test").to_numpy())
    mine = facts.iloc[rows]
    names = tuple(sorted({*mine["client"]}))
    return Tested(
        y=mine["y"].to_numpy(dtype=float),
        client=np.searchsorted(names, mine["client"].to_numpy(dtype=str)),
        group=mine["group"].factorize()[0],
        names=names,
        scores={arm: raw[rows] for arm, raw in log_odds.items()},
    )


def _areas(prepared: Prepared, raw: np.ndarray) -> tuple[float, float]:
    """AUROC inside lenders, and over all."""
    tested = tested_of(prepared, {"": raw})
    y, score = tested.y, tested.scores[""]
    own = [tested.client == number for number in tested.enough]
    inside = statistics.fmean(float(auroc(y[rows], score[rows])) for rows in own)
    return inside, float(auroc(y, score))
