"""Controls of the credit flow: the other models, and training without privacy, without partners,
without walls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from models import scorecard
from models.checkpoint import Checkpoint
from models.credit import logits, train_centrally
from models.credit_boosting import boosted_logits
from models.federated import Client, Rounds
from models.trees import Trees
from pipelines.life.arms import checkpoint, once
from pipelines.progress import say
from pipelines.settings import CreditConfig
from pipelines.stages import stage
from pipelines.steps.credit.alone import better_of
from pipelines.steps.credit.growth import grown, size_of, sized
from pipelines.steps.credit.own_records import each_calibrated
from pipelines.steps.credit.personal import own_scorecards
from pipelines.steps.credit.prepare import Prepared, prepared_for
from pipelines.steps.credit.training import (
    Shape,
    Trained,
    calibrated,
    fit,
    keep,
    new_model,
    one_thread,
    projection,
    training_rows,
)
from pipelines.tracking import Job
from privacy.plan import Schedule

QUIET, PLAIN, ALONE = "no noise", "no privacy", "alone"
POOLED, BOOSTING = "pooled", "gradient boosting"
LATER, LATER_BOOSTING = "out of time", "out of time, gradient boosting"
_LONG = {
    "mlp": (Schedule(160, 10, 0.05), {"learning_rate": 0.5, "momentum": 0.95}),
    "scorecard": (Schedule(300, 1, 1.0), {}),
    "trees": (Schedule(60, 20, 1.0), {}),
}
"""Federated training until more of it gains little: chosen among a few short schedules by AUROC on
calibration records of sba at scale small."""


@stage(kind="training")
def train_controls(job: Job, prepared: Prepared) -> list[Trained]:
    """What the model is measured against; on public records alone, for none of it is charged."""
    if job.config.controls == "none" or not prepared.charged.table.public:
        return []
    with one_thread():
        return [
            once(job, Trained, name, partial(make, job, prepared))
            for name, make in _controls(job, prepared).items()
        ]


def _controls(job: Job, prepared: Prepared) -> dict[str, Callable[[Job, Prepared], Trained]]:
    """By name, in the order of the report."""
    private: dict[str, Callable[[Job, Prepared], Trained]] = {QUIET: _quiet}
    found = private if prepared.charged.plan else {}
    others = {each.model: partial(_other, config=each) for each in job.config.others()}
    found = others | found
    found |= {PLAIN: _plain, ALONE: _alone, POOLED: _pooled, BOOSTING: _boosting}
    later = prepared.facts["later"].to_numpy()
    if later.any() and not later.all():
        found |= {LATER: _later_federated, LATER_BOOSTING: _later_boosting}
    return found


def _without_privacy(schedule: Schedule) -> Schedule:
    return Schedule(schedule.rounds, schedule.local_steps, schedule.sampling_rate)


def _quiet(job: Job, prepared: Prepared) -> Trained:
    note = "the same schedule without clipping and noise"
    charged, config = prepared.charged, job.config
    size = size_of(config, charged, charged.schedule, prepared.encoder.width)
    schedule, config = _without_privacy(charged.schedule), sized(config, size)
    return _federated(job, prepared, Shape(QUIET, "control", note, 0.0), schedule, config)


def _other(job: Job, prepared: Prepared, config: CreditConfig) -> Trained:
    """Another model under the same ε and δ, trained as it is by default."""
    as_it_takes = prepared_for(job, prepared, config)
    schedule = as_it_takes.charged.schedule
    note = f"model: {config.model}, trained as it is by default"
    if as_it_takes.charged.plan:
        note = f"{note}, with the same ε and δ; not charged, because the records are public"
    return _federated(job, as_it_takes, Shape(config.model, "control", note, 0.0), schedule, config)


def _plain(job: Job, prepared: Prepared) -> Trained:
    """No budget binds it to few steps, so it takes as many as it needs."""
    schedule, how = _LONG[job.config.model]
    rounds, steps = schedule.rounds, schedule.steps
    note = f"federated without privacy until it is done: {rounds} rounds, {steps} steps"
    config = job.config.model_copy(update=how)
    return _federated(job, prepared, Shape(PLAIN, "control", note, 0.0), schedule, config)


def _federated(
    job: Job, prepared: Prepared, shape: Shape, schedule: Schedule, config: CreditConfig
) -> Trained:
    say(shape.name)
    clients = prepared.clients(training_rows(prepared))
    raw, rounds, grew = _answers(job, prepared, shape.name, clients, schedule, config)
    note = "; ".join(filter(None, [shape.note, grew]))
    done = replace(shape, note=note, seconds=rounds.seconds, history=rounds.history)
    return keep(job, done, calibrated(prepared, raw))


def _answers(
    job: Job,
    prepared: Prepared,
    name: str,
    clients: list[Client],
    schedule: Schedule,
    config: CreditConfig,
) -> tuple[np.ndarray, Rounds, str]:
    """Logits of every record by a federated model, how it was trained, and what its trees were."""
    model = new_model(prepared, config, schedule)
    rounds = fit(
        model,
        clients,
        schedule,
        config,
        project=projection(prepared, config),
        checkpoint=checkpoint(job, name),
    )
    return logits(model, prepared.codes), rounds, grown(model)


def _alone(job: Job, prepared: Prepared) -> Trained:
    """Each lender's own model, without privacy, for its own records."""
    say(f"{ALONE}: {len(prepared.sizes)} models")
    started = time.perf_counter()
    cards = each_calibrated(prepared.facts, own_scorecards(prepared, job.config.bins))
    spent = time.perf_counter() - started
    if job.config.model == "scorecard":
        note = "each client's own scorecard on its own records, its bins and ridge chosen there"
        return keep(job, Shape(ALONE, "control", f"{note}, without privacy", spent), cards)
    own, seconds = _own_kind(job, prepared)
    candidates = {job.config.model: each_calibrated(prepared.facts, own), "scorecard": cards}
    raw, most = better_of(prepared.facts, candidates)
    said = ", ".join(f"{kind} of {count}" for kind, count in most.items())
    note = (
        f"each client's own {job.config.model} and its own scorecard, without privacy, as its "
        f"calibration records say; what counts most is the {said} clients"
    )
    return keep(job, Shape(ALONE, "control", note, spent + seconds), raw)


def _own_kind(job: Job, prepared: Prepared) -> tuple[np.ndarray, float]:
    """Logits (n,) by a model of the configured kind that each lender trained alone; seconds."""
    kept = checkpoint(job, ALONE).of(list(prepared.sizes))
    facts, found = prepared.facts, kept.load()
    holders = facts.groupby("client").indices
    raw = found[0]["raw"].numpy().copy() if found else np.zeros(len(facts))
    done, spent = (found[1]["done"], found[1]["seconds"]) if found else (0, 0.0)
    for number, name in list(enumerate(prepared.sizes))[done:]:
        rows = np.asarray(holders.get(name, ()), dtype=np.int64)
        if len(rows):
            raw[rows], seconds = _central(job, prepared, facts, rows, kept.part(number))
            spent += seconds
        if kept.due():
            kept.save({"raw": torch.from_numpy(raw)}, {"done": number + 1, "seconds": spent})
    return raw, spent


def _pooled(job: Job, prepared: Prepared) -> Trained:
    say(POOLED)
    facts = prepared.facts
    raw, seconds = _central(job, prepared, facts, np.arange(len(facts)), checkpoint(job, POOLED))
    note = "the same model on all records in one place, without privacy"
    return keep(job, Shape(POOLED, "control", note, seconds), calibrated(prepared, raw))


def _central(
    job: Job, prepared: Prepared, facts: pd.DataFrame, rows: np.ndarray, kept: Checkpoint
) -> tuple[np.ndarray, float]:
    """Logits of the records at `rows`, (rows,), by a model trained on those of them that train,
    and seconds."""
    codes, y = prepared.codes, facts["y"].to_numpy()
    training = rows[facts["part"].to_numpy()[rows] == "train"]
    model = new_model(prepared, job.config, _LONG[job.config.model][0])
    if isinstance(model, Trees):
        seconds = _grown(job, model, codes[training], y[training], kept)
    elif job.config.model == "scorecard":
        started = time.perf_counter()
        scorecard.train_centrally(model, codes[training], y[training])
        seconds = time.perf_counter() - started
    else:
        seconds = train_centrally(model, codes[training], y[training], job.config.seed, kept)
    return logits(model, codes[rows]), seconds


def _grown(job: Job, model: Trees, codes: np.ndarray, y: np.ndarray, kept: Checkpoint) -> float:
    """Fill the leaves of trees on records in one hand, without privacy; returns seconds."""
    one = Client("all", torch.from_numpy(codes), torch.from_numpy(y), float(len(y)))
    schedule = _LONG["trees"][0]
    return fit(model, [one], schedule, job.config, project=None, checkpoint=kept).seconds


def _boosting(job: Job, prepared: Prepared) -> Trained:
    say(BOOSTING)
    started = time.perf_counter()
    y = prepared.facts["y"].to_numpy()
    rows = training_rows(prepared)
    raw = boosted_logits(prepared.encoder, prepared.frame, y, rows, job.config.seed)
    seconds = time.perf_counter() - started
    note = "gradient-boosted trees on all records in one place, without privacy"
    return keep(job, Shape(BOOSTING, "control", note, seconds), calibrated(prepared, raw))


def _earlier(prepared: Prepared) -> np.ndarray:
    """Records approved before those of the test on later ones, (n,) bool."""
    early: np.ndarray = ~prepared.facts["later"].to_numpy()
    return early


def _later_federated(job: Job, prepared: Prepared) -> Trained:
    """Trained on earlier approvals alone, for the test on later ones."""
    say(LATER)
    facts, early = prepared.facts, _earlier(prepared)
    counted = facts[early]["client"].value_counts()
    sizes = {name: int(counted[name]) for name in prepared.sizes if name in counted}
    clients = prepared.clients(training_rows(prepared) & early, sizes)
    schedule = prepared.charged.schedule
    raw, rounds, grew = _answers(job, prepared, LATER, clients, schedule, job.config)
    same = "with this run's noise; not charged, because the records are public"
    note = "the model's own training on earlier approvals alone"
    if prepared.charged.plan:
        note = f"{note}, {same}"
    note = "; ".join(filter(None, [note, grew]))
    shape = Shape(LATER, "control", note, rounds.seconds, rounds.history)
    return keep(job, shape, calibrated(prepared, raw, early))


def _later_boosting(job: Job, prepared: Prepared) -> Trained:
    started = time.perf_counter()
    y, early = prepared.facts["y"].to_numpy(), _earlier(prepared)
    rows = training_rows(prepared) & early
    raw = boosted_logits(prepared.encoder, prepared.frame, y, rows, job.config.seed)
    seconds = time.perf_counter() - started
    raw = calibrated(prepared, raw, early)
    note = "gradient-boosted trees on earlier approvals alone, pooled, without privacy"
    return keep(job, Shape(LATER_BOOSTING, "control", note, seconds), raw)
