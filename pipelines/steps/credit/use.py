"""What the packed model is used at: the threshold of the configured approval rate, and the default
rate that its calibration stands on. Both come from calibration records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.credit import load_scorer
from models.credit_decision import Cutoff, Use
from pipelines.settings import CreditConfig
from pipelines.steps.credit.decisions import cut_off
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import Trained, package_of
from pipelines.tracking import Job


def pack_use(job: Job, prepared: Prepared, model: Trained) -> float:
    """Pack threshold and default rate with the model, and return the threshold.

    Only where held-out records may be released: both tell of them.

    Args:
        job: The job.
        prepared: Its loans.
        model: The registered model, whose packed form takes them.
    """
    config: CreditConfig = job.config
    cut = cut_off(prepared, model, config.approval_rate)
    held = prepared.facts[prepared.facts["part"] == "calibration"]
    rate = float(held["y"].mean()) if len(held) else None
    folder = package_of(job)
    scorer: Any = load_scorer(folder)
    replace(scorer, use=Use(Cutoff(config.approval_rate, cut), rate)).save(folder)
    return cut
