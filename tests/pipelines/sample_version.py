"""A version of a credit model, made as a run makes it."""

from pathlib import Path
from typing import Any

import pandas as pd

from models.credit_encoding import example
from pipelines.finish import publish
from pipelines.steps.credit.evidence import evaluate, held_out
from pipelines.steps.credit.fairness import with_decisions
from pipelines.steps.credit.training import package_of, train_federated
from pipelines.tracking import open_job
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import config_of, prepare_in

MODEL = "credit-loans"
DATA = {"path": "loans.csv", "name": "loans", "id": "loan"}


def loans_of(rows: int, seed: int, first: int = 0) -> pd.DataFrame:
    """Made-up loans with ids L`first`, …"""
    return sample_loans(rows, seed).assign(loan=[f"L{first + row}" for row in range(rows)])


def train_loans(folder: Path, **keys: Any) -> dict[str, Any]:
    """One run up to its registered version."""
    keys = {"exclude": ["approved", "odds"], "data": DATA, **keys}
    config = config_of(folder, loans_of(2400, 0), **keys)
    with open_job("credit", config) as job:
        prepared = prepare_in(job)
        model = train_federated.fn(job, prepared)
        evidence = evaluate.fn(job, prepared, [model])
        held = with_decisions(job, prepared, model, held_out(prepared, config.seed))
        made_up = example(prepared.encoder, prepared.frame)
        result: dict[str, Any] = publish.fn(job, evidence, package_of(job), made_up, held)
        return result
