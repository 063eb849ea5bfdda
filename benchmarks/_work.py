"""What children of `_fork` do while they are killed: the real thing, on a few made-up records."""

from __future__ import annotations

import functools
import importlib
import json
import os
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NOISED = "noised.txt"
"""In a home: one line, `OWNER steps COUNT` or `OWNER setup 1`, before anything is noised."""
ACKED = "acked.txt"
"""In a home: one line an act that has returned."""
RESULT = "result.json"
"""In a home: what the last run that ended has returned."""
MODEL = "credit-loans"
JOBS, DELTA = 6, 1e-5
EVENTS = [{"kind": "gaussian", "sigma": 30.0, "count": 1}]

LOANS: dict[str, Any] = {
    "target": {"column": "defaulted", "positive": 1},
    "clients": {"column": "bank"},
    "bounds": {"amount": [0, 1e6]},
    "privacy": {"epsilon": 6, "delta": 1e-4, "grant": {"epsilon": 60, "delta": 1e-4}},
    "release": "metrics",
    "rounds": 6,
    "sampling_rate": 0.2,
    "learning_rate": 1,
}


def loans_config(path: Path) -> dict[str, Any]:
    """Configuration of a small private job on made-up loans, which are written to `path`."""
    _write_loans(path)
    return {**LOANS, "data": {"path": str(path), "name": "loans"}}


def _write_loans(path: Path, rows: int = 400) -> None:
    """Loans of two banks, whose risk depends on amount and purpose."""
    rng = np.random.default_rng(3)
    amount, purpose = rng.lognormal(10, 1, rows).round(2), rng.choice(["car", "home"], rows)
    risk = 1.5 * (np.log(amount) - 10) + 1.2 * (purpose == "home")
    frame = {
        "amount": amount,
        "purpose": purpose,
        "bank": rng.choice(["North", "South"], rows),
        "defaulted": (rng.random(rows) < 1 / (1 + np.exp(-risk))).astype(int),
    }
    pd.DataFrame(frame).to_csv(path, index=False)


def write_table(path: Path, rows: int) -> None:
    """Loans to score, each with an account of its own."""
    rng = np.random.default_rng(5)
    frame = {
        "account": np.arange(rows),
        "amount": rng.lognormal(10, 1, rows).round(2),
        "purpose": rng.choice(["car", "home"], rows),
        "bank": "North",
    }
    pd.DataFrame(frame).to_csv(path, index=False)


def compare_rows(table: Path, output: Path) -> tuple[int, int]:
    """Rows of a table that its scored output lacks, and rows that it has more than once or that
    are out of order."""
    if not output.exists():
        return len(pd.read_csv(table)), 0
    asked, got = (pd.read_csv(path).iloc[:, 0].tolist() for path in (table, output))
    lost = len(set(asked) - set(got))
    return lost, max(len(got) - len(set(got)), int(not lost and asked != got))


def warm() -> None:
    """Import what every child needs; compute once what each would, leave out the pictures, and
    have a gate that says yes.

    Nothing about a crash is different for it.
    """
    from domains.banking.census import take_census
    from pipelines.governance import gate
    from pipelines.settings import CreditConfig
    from pipelines.steps.credit import charge, evidence, statement
    from privacy import accounting, accounts
    from privacy.plan import calibrate

    for name in ("credit", "imaging", "patients", "governance.promotion", "life.lives"):
        importlib.import_module(f"pipelines.{name}")
    remembered = _remembering(accounting.epsilon_of)
    _put(accounts, "epsilon_of", remembered)
    _put(statement, "epsilon_of", remembered)
    _put(statement, "checks", lambda *_: {})
    _put(evidence, "draw", lambda *_: [])
    _put(charge, "calibrate", functools.cache(calibrate))
    rules = gate.load_rules("credit", MODEL)  # a champion is needed, not a good one
    lenient = replace(rules, floor=0.0, margin=1.0, max_ece=1.0, min_records=1)
    _put(gate, "load_rules", lambda *_: lenient)
    with tempfile.TemporaryDirectory() as folder:
        config = CreditConfig.model_validate(loans_config(Path(folder) / "loans.csv"))
        table = charge._own(config)
        plan: Any = charge.make_schedule(config, table, take_census(table))
        for count in range(1, 3):
            remembered(plan.events() * count, LOANS["privacy"]["delta"])
    for count in range(1, JOBS + 2):
        remembered(EVENTS * count, DELTA)


def _remembering(epsilon_of: Any) -> Any:
    known: dict[str, float] = {}

    def remembered(events: list[dict[str, Any]], delta: float) -> float:
        key = f"{events} {delta}"
        if key not in known:
            known[key] = epsilon_of(events, delta)
        return known[key]

    return remembered


def train(pipeline: str, config: dict[str, Any]) -> None:
    """A training run, as `careledger train` does it."""
    from pipelines.run import run
    from pipelines.settings import CONFIGS

    _count_noise()
    _told(run(pipeline, CONFIGS[pipeline].model_validate(config)))


def resume() -> None:
    """`careledger resume`: every job that was cut short."""
    from pipelines.life import lives

    _count_noise()
    lives.tidy()
    for dead in lives.crashed():
        _told(lives.resume(dead.run_id))


def _told(result: dict[str, Any]) -> None:
    (_home() / RESULT).write_text(json.dumps(result))


def move(acts: int) -> None:
    """Promote and roll back in turn; a line of `acked.txt` for every act that has returned."""
    from pipelines.governance import promotion

    for number in range(acts):
        if number % 2:
            promotion.promote(MODEL, "2")
        else:
            promotion.rollback(MODEL)
        _append(_home() / ACKED, str(number))


def settle() -> None:
    """What any next act finds: the record is carried out."""
    from pipelines.governance import chain

    chain.carry_out(MODEL)


def spend(jobs: int) -> None:
    """Reserve and commit; a line of `acked.txt` for every reservation that has returned."""
    from privacy.ledger import Ledger

    ledger = Ledger(_home() / "ledger.db")
    for number in range(jobs):
        job = f"{secrets.token_hex(4)}-{number}"
        ledger.reserve(job, {"a": EVENTS, "b": EVENTS}, grant=(1000.0, DELTA))
        _append(_home() / ACKED, job)
        ledger.commit(job)


def score(table: str, output: str) -> None:
    """Score a table in small pieces; run again, it goes on."""
    from pipelines.scoring.batch import score_file
    from pipelines.settings import ScoreConfig

    config = ScoreConfig(
        model=MODEL, input=Path(table), output=Path(output), id="account", chunk=500
    )
    score_file(config)


def _home() -> Path:
    return Path(os.environ["CARELEDGER_HOME"])


def _count_noise() -> None:
    """Have every noised step and summary say so on disk before it is made."""
    from models.federated import rounds
    from pipelines.steps.credit import prepare
    from privacy.preprocessing import noised_summary

    path, train = _home() / NOISED, rounds.train_clients

    def trained(training: Any, *rest: Any) -> Any:
        for client in training.clients:
            _append(path, f"{client.name} steps {training.schedule.local_steps}")
        return train(training, *rest)

    def summed(frame: pd.DataFrame, *rest: Any) -> Any:
        _append(path, f"{frame['bank'].iloc[0]} setup 1")
        return noised_summary(frame, *rest)

    _put(rounds, "train_clients", trained)
    _put(prepare, "noised_summary", summed)


def _put(place: Any, name: str, value: Any) -> None:
    setattr(place, name, value)


def _append(path: Path, line: str) -> None:
    with path.open("a") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())
