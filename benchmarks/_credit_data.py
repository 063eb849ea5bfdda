"""Loans of `credit`: two public sets, read, split and coded by the pipeline's own stages.

`sba`: loans of the years that the pipeline takes, each lender keeps its own. Taiwan: Default of
Credit Card Clients in ten equal parts. Bins and value lists of both are public, so that ε goes into
training alone. A seed moves split, sampling and, for Taiwan, the parts; noise is the system's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import _utility
from benchmarks._apart import job_apart
from domains.banking.features import label
from pipelines.settings import CreditConfig
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.prepare import Prepared, prepare
from pipelines.tracking import Job

SBA, TAIWAN = "sba", "Taiwan"
LARGEST, SMALL = "20 largest lenders", "200 small lenders"
LENDERS: dict[str, dict[str, Any]] = {
    LARGEST: {"column": "Bank", "top": 20},
    SMALL: {"column": "Bank", "skip": 20, "top": 200},
}
"""Who takes part, of sba: the largest, and so many that come after them."""


def sets() -> list[str]:
    """The sets that can be had; why one cannot is said."""
    if _utility.DATA.exists():
        return [SBA, TAIWAN]
    print(f"left out: {TAIWAN} ({_utility.DATA} is not there; CARELEDGER_TAIWAN may name it)")
    return [SBA]


def config_of(data: str, scale: str, seed: int = 0, **keys: Any) -> CreditConfig:
    """A job without privacy on one of the sets, the model a scorecard."""
    own = {"data": {"name": SBA}} if data == SBA else _taiwan()
    given = {"scale": scale, "seed": seed, "privacy": None, **own, **keys}
    return CreditConfig.model_validate(given)


@contextmanager
def loans(config: CreditConfig) -> Iterator[tuple[Job, Prepared]]:
    """A job in a fresh home, up to encoded records; gone with the block."""
    with job_apart("credit", config) as job:
        yield job, prepare.fn(job, charge.fn(job, find_loans.fn(job)))


def _taiwan() -> dict[str, Any]:
    """Bins of round sums, and categories as the data's own code book lists them."""
    frame = pd.read_csv(_utility.DATA)
    left_out = (_utility.TARGET, *_utility.PROTECTED)
    columns = [str(name) for name in frame.columns if name not in left_out]
    numbers = [name for name in columns if pd.api.types.is_numeric_dtype(frame[name])]
    lists = [name for name in columns if name not in numbers]
    return {
        "data": {"path": Path(_utility.DATA), "name": "taiwan", "public": True},
        "target": {"column": _utility.TARGET},
        "clients": {"count": _utility.CLIENTS},
        "exclude": list(_utility.PROTECTED),
        "bounds": {name: list(_utility.PUBLIC[name.partition("_")[0]]) for name in numbers},
        "categories": {name: sorted(map(label, frame[name].dropna().unique())) for name in lists},
    }
