"""Private credit jobs beside a file of loans, and what their owners have spent."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from pipelines.settings import CreditConfig, ledger_path, load_config
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.prepare import Prepared, prepare
from pipelines.tracking import Job, open_job
from privacy.ledger import Ledger
from tests.domains.sample_loans import sample_loans

PRIVATE: dict[str, Any] = {
    "data": {"path": "loans.csv", "name": "loans"},
    "target": {"column": "defaulted", "positive": 1},
    "clients": {"column": "bank"},
    "protected": ["sex"],
    "exclude": ["approved"],
    "bounds": {"amount": [0, 1e6]},
    "privacy": {"epsilon": 6, "delta": 1e-4, "grant": {"epsilon": 6, "delta": 1e-4}},
    "release": "metrics",
    "rounds": 6,
    "sampling_rate": 0.2,
    "learning_rate": 1,
}


def config_of(folder: Path, frame: pd.DataFrame | None = None, **keys: Any) -> CreditConfig:
    """A configuration beside a file of loans, read as a user's is."""
    (sample_loans() if frame is None else frame).to_csv(folder / "loans.csv", index=False)
    (folder / "job.yaml").write_text(json.dumps({**PRIVATE, **keys}))  # JSON is YAML
    config = load_config("credit", folder / "job.yaml")
    assert isinstance(config, CreditConfig)
    return config


def prepare_in(job: Job) -> Prepared:
    """The flow up to encoded records."""
    return prepare.fn(job, charge.fn(job, find_loans.fn(job)))


def prepared(config: CreditConfig) -> Prepared:
    """The flow up to encoded records, as a job of its own."""
    with open_job("credit", config) as job:
        return prepare_in(job)


def spent() -> dict[str, float]:
    return {b.owner: b.epsilon_spent for b in Ledger(ledger_path()).budgets()}
