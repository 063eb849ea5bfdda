"""Personalisation, and what of it stays at home: a lender's own model, and its line of the table.

Neither is covered by the plan's ε. On public records they are an arm of the report. Of private
ones they are written to the lender's own folder, `CARELEDGER_HOME/clients/OWNER/RUN_ID.json`, which
no other user of the system may read (lenders whose jobs run as one user share that user), and to
nothing that a run shares: no metric, log, report, card or registered file holds any of them. The
model alone in it is the lender's own work too, and stays there as well.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from domains import durable
from domains.errors import InputError
from pipelines.progress import say
from pipelines.settings import home
from pipelines.stages import stage
from pipelines.steps.credit.charge import is_public
from pipelines.steps.credit.controls import ALONE
from pipelines.steps.credit.joining import Member, members
from pipelines.steps.credit.own_records import each_calibrated
from pipelines.steps.credit.personal import (
    PERSONAL,
    How,
    Personal,
    own_models,
    own_scorecards,
    shared_log_odds,
)
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.scores import Tested
from pipelines.steps.credit.training import FEDERATED, Shape, Trained, keep, one_thread
from pipelines.tracking import Job


@stage(kind="training")
def personalise(job: Job, prepared: Prepared, model: Trained) -> list[Trained]:
    """The shared model as each lender would go on with it, as an arm; none of private records."""
    public = is_public(job.config)
    how = job.config.personalised(public)
    if how == "none":
        return []
    say(f"{PERSONAL}: {len(prepared.sizes)} lenders, {how}")
    if not public:
        _try_at_home(job, prepared, model, how)
        return []
    started = time.perf_counter()
    _, own = _own(job, prepared, shared_log_odds(model), how)
    note = f"each client goes on with its own records ({how}), without privacy: it stays there"
    return [keep(job, Shape(PERSONAL, "arm", note, time.perf_counter() - started), own)]


def _own(
    job: Job, prepared: Prepared, shared: np.ndarray, how: How
) -> tuple[dict[str, Personal], np.ndarray]:
    """Every lender's model, and the calibrated log-odds of its records by its own."""
    with one_thread():
        models, own = own_models(prepared, shared, how, job.config.bins)
        return models, each_calibrated(prepared.facts, own)


def _try_at_home(job: Job, prepared: Prepared, model: Trained, how: How) -> None:
    """What fails here is told by its type; the ε of the shared model is spent, and it goes on."""
    shared = shared_log_odds(model)
    try:
        models, own = _own(job, prepared, shared, how)
        with one_thread():
            _leave_at_home(job, prepared, {FEDERATED: shared, PERSONAL: own}, models)
    except (ArithmeticError, InputError, OSError, RuntimeError, ValueError) as error:
        say(f"{PERSONAL}: not every lender's model could be made ({type(error).__name__})")


def _leave_at_home(
    job: Job, prepared: Prepared, scores: dict[str, np.ndarray], models: dict[str, Personal]
) -> None:
    """Write each lender's own model, and its line under every arm's log-odds, to its own folder."""
    alone = each_calibrated(prepared.facts, own_scorecards(prepared, job.config.bins))
    scores = {**scores, ALONE: alone}
    for name, model in models.items():
        member = _line(prepared, name, scores)
        told = {"client": name, "run": job.run_id, **model.told(),
                "in_a_sentence": member.sentence(), "line": asdict(member)}  # fmt: skip
        path = folder_of(f"{prepared.charged.table.name}/{name}") / f"{job.run_id}.json"
        durable.write(path, json.dumps(told, indent=1))
        path.chmod(0o600)


def folder_of(owner: str) -> Path:
    """An owner's own folder; made, for this user alone."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", owner)[:60].strip("-")
    digest = hashlib.blake2b(owner.encode(), digest_size=6).hexdigest()
    folder = home() / "clients" / f"{readable}-{digest}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(folder, 0o700)
    return folder


def _line(prepared: Prepared, name: str, scores: dict[str, np.ndarray]) -> Member:
    """One lender's answer, from its own test records alone."""
    facts = prepared.facts
    rows = np.flatnonzero((facts["client"] == name) & (facts["part"] == "test"))
    mine = facts.iloc[rows]
    tested = Tested(
        y=mine["y"].to_numpy(dtype=float),
        client=np.zeros(len(rows), dtype=int),
        group=mine["group"].factorize()[0],
        names=(name,) if len(rows) else (),
        scores={arm: each[rows] for arm, each in scores.items()},
    )
    return members(tested, {name: prepared.sizes[name]})[0]
