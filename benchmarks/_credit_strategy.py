"""One strategy of `credit`, in a process of its own: `_credit_strategies` starts it.

Reads an order (JSON): mapped codes, outcomes, who holds which of them, plan and configuration.
Imports what trains and nothing else of the pipeline, so that peak memory is the training's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._fed_job import Laps
from models import scorecard
from models.federated import Client, run
from pipelines.life import kept
from pipelines.settings import CreditConfig
from pipelines.steps.credit.strategy import rate_of, strategy_of, terms_of
from privacy.plan import PrivacyPlan


def work(order: dict[str, Any], laps: Laps) -> None:
    """Train by the order's strategy."""
    torch.set_num_threads(1)
    config = CreditConfig.model_validate(order["config"])
    codes = torch.from_numpy(np.load(order["codes"], mmap_mode="c"))
    y = torch.from_numpy(np.load(order["y"]))
    clients = [
        Client(name, codes[start:end], y[start:end], records)
        for name, start, end, records in order["clients"]
    ]
    plan = kept.decode(PrivacyPlan, order["plan"])
    model = scorecard.build(codes.shape[1])
    strategy = strategy_of(config, rate=rate_of(config, clients, plan))
    run(model, clients, plan, strategy, laps, seed=config.seed, terms=terms_of(config))


if __name__ == "__main__":
    laps = Laps()
    work(json.loads(Path(sys.argv[1]).read_text()), laps)
    laps.tell()
