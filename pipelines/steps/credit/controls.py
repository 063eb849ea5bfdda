"""Controls of the credit flow: the training without privacy, without partners, without walls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from models.credit import logits, train_centrally
from models.credit_boosting import boosted_logits
from models.federated import Client
from pipelines.progress import say
from pipelines.settings import CreditConfig
from pipelines.stages import stage
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import (
    Shape,
    Trained,
    calibrated,
    fit,
    keep,
    new_net,
    one_thread,
    training_rows,
)
from pipelines.tracking import Job
from privacy.plan import Schedule

QUIET, PLAIN, ALONE = "no noise", "no privacy", "alone"
POOLED, BOOSTING = "pooled", "gradient boosting"
LATER, LATER_BOOSTING = "out of time", "out of time, gradient boosting"
_LONG = Schedule(rounds=160, local_steps=10, sampling_rate=0.05)
_LONG_RATE, _LONG_MOMENTUM = 0.5, 0.95
"""Federated training until more of it gains little: chosen among a few short schedules by AUROC on
calibration records of sba at scale small."""


@stage(kind="training")
def train_controls(job: Job, prepared: Prepared) -> list[Trained]:
    """What the model is measured against; on public records alone, for none of it is charged."""
    if job.config.controls == "none" or not prepared.charged.table.public:
        return []
    with one_thread():
        made = [
            *([_quiet(job, prepared)] if prepared.charged.plan else []),
            _plain(job, prepared),
            _alone(job, prepared),
            _pooled(job, prepared),
            _boosting(job, prepared),
        ]
        return made + _later(job, prepared)


def _without_privacy(schedule: Schedule) -> Schedule:
    return Schedule(schedule.rounds, schedule.local_steps, schedule.sampling_rate)


def _timed(
    prepared: Prepared,
    clients: Sequence[Client],
    schedule: Schedule,
    config: CreditConfig,
) -> tuple[nn.Sequential, float, list[dict[str, float]]]:
    model = new_net(prepared, config)
    started = time.perf_counter()
    history = fit(model, clients, schedule, config)
    return model, time.perf_counter() - started, history


def _quiet(job: Job, prepared: Prepared) -> Trained:
    note = "the same schedule without clipping and noise"
    schedule = _without_privacy(prepared.charged.schedule)
    return _federated(job, prepared, Shape(QUIET, "control", note, 0.0), schedule, job.config)


def _plain(job: Job, prepared: Prepared) -> Trained:
    """No budget binds it to few steps, so it takes as many as it needs."""
    note = f"federated without privacy until it is done: {_LONG.rounds} rounds, {_LONG.steps} steps"
    steps = {"learning_rate": _LONG_RATE, "momentum": _LONG_MOMENTUM}
    config = job.config.model_copy(update=steps)
    return _federated(job, prepared, Shape(PLAIN, "control", note, 0.0), _LONG, config)


def _federated(
    job: Job, prepared: Prepared, shape: Shape, schedule: Schedule, config: CreditConfig
) -> Trained:
    say(shape.name)
    clients = prepared.clients(training_rows(prepared))
    model, seconds, history = _timed(prepared, clients, schedule, config)
    raw = calibrated(prepared, logits(model, prepared.codes))
    return keep(job, replace(shape, seconds=seconds, history=history), raw)


def _alone(job: Job, prepared: Prepared) -> Trained:
    """Each lender's own model, without privacy, for its own records."""
    say(f"{ALONE}: {len(prepared.sizes)} models")
    holder, codes = prepared.facts["client"].to_numpy(), prepared.codes
    raw, spent = np.zeros(len(codes)), 0.0
    for name in prepared.sizes:
        own = holder == name
        answers, seconds = _central(job, prepared, own)
        raw[own] = calibrated(prepared, answers, own)[own]
        spent += seconds
    note = "each client's own net on its own records, calibrated there, without privacy"
    return keep(job, Shape(ALONE, "control", note, spent), raw)


def _pooled(job: Job, prepared: Prepared) -> Trained:
    say(POOLED)
    raw, seconds = _central(job, prepared, np.ones(len(prepared.codes), dtype=bool))
    note = "the same net on all records in one place, without privacy"
    return keep(job, Shape(POOLED, "control", note, seconds), calibrated(prepared, raw))


def _central(job: Job, prepared: Prepared, rows: np.ndarray) -> tuple[np.ndarray, float]:
    """Logits of the records among `rows` (zero elsewhere) by a net trained on them, and seconds."""
    codes, y = prepared.codes, prepared.facts["y"].to_numpy()
    training = np.flatnonzero(rows & training_rows(prepared))
    model = new_net(prepared, job.config)
    started = time.perf_counter()
    train_centrally(model, codes[training], y[training], job.config.seed)
    seconds = time.perf_counter() - started
    raw = np.zeros(len(codes))
    raw[rows] = logits(model, codes[rows])
    return raw, seconds


def _boosting(job: Job, prepared: Prepared) -> Trained:
    say(BOOSTING)
    started = time.perf_counter()
    y = prepared.facts["y"].to_numpy()
    rows = training_rows(prepared)
    raw = boosted_logits(prepared.encoder, prepared.frame, y, rows, job.config.seed)
    seconds = time.perf_counter() - started
    note = "gradient-boosted trees on all records in one place, without privacy"
    return keep(job, Shape(BOOSTING, "control", note, seconds), calibrated(prepared, raw))


def _later(job: Job, prepared: Prepared) -> list[Trained]:
    """Trained on earlier approvals alone, for the test on later ones."""
    facts = prepared.facts
    later = facts["later"].to_numpy()
    if not later.any() or later.all():
        return []
    rows, counted = training_rows(prepared) & ~later, facts[~later]["client"].value_counts()
    sizes = {name: int(counted.get(name, 0)) for name in prepared.sizes}
    return [
        _later_federated(job, prepared, rows, {k: n for k, n in sizes.items() if n}),
        _later_boosting(job, prepared, rows),
    ]


def _later_federated(
    job: Job, prepared: Prepared, rows: np.ndarray, sizes: Mapping[str, int]
) -> Trained:
    say(LATER)
    clients = prepared.clients(rows, sizes)
    model, seconds, history = _timed(prepared, clients, prepared.charged.schedule, job.config)
    early = ~prepared.facts["later"].to_numpy()
    raw = calibrated(prepared, logits(model, prepared.codes), early)
    same = "with this run's noise; not charged, because the records are public"
    note = "the model's own training on earlier approvals alone"
    if prepared.charged.plan:
        note = f"{note}, {same}"
    return keep(job, Shape(LATER, "control", note, seconds, history), raw)


def _later_boosting(job: Job, prepared: Prepared, rows: np.ndarray) -> Trained:
    started = time.perf_counter()
    y = prepared.facts["y"].to_numpy()
    raw = boosted_logits(prepared.encoder, prepared.frame, y, rows, job.config.seed)
    seconds = time.perf_counter() - started
    raw = calibrated(prepared, raw, ~prepared.facts["later"].to_numpy())
    note = "gradient-boosted trees on earlier approvals alone, pooled, without privacy"
    return keep(job, Shape(LATER_BOOSTING, "control", note, seconds), raw)
