"""Registered versions of a small credit model, as good or bad as a test asks for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains.banking.features import Numeric
from models.credit import CreditScorer, build
from models.credit_encoding import Encoder
from pipelines import settings
from pipelines.governance import held_out, registry
from pipelines.governance.held_out import Answers, HeldOut, HeldOutcome, answers
from pipelines.tracking import client, open_job

NAME = "credit-sba"
OUTCOME = HeldOutcome("default", "auroc", ("default",), ("probability",))


def register(noise: float, public: bool = True) -> str:
    """Register a version whose score is blurred by noise; returns its number, not judged yet."""
    made = answered(noise)
    with open_job("credit", settings.load_config("credit")) as job:
        client().log_dict(job.run_id, evidence(public), registry.EVIDENCE)
        held_out.save(made, registry.held_out_path(job.run_id))
        held_out.save(made, job.folder / registry.HELD_OUT)
        client().log_artifact(job.run_id, str(job.folder / registry.HELD_OUT))
        source = _package(job.run_id)
        return registry.create_version(
            NAME,
            source,
            job.run_id,
            {"careledger.split": made.split, "careledger.data.name": "sba"},
        )


def answered(noise: float, size: int = 1500) -> Answers:
    """What such a version answers on its held-out records."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=size)
    y = (rng.random(size) < 1 / (1 + np.exp(-2 * z))).astype(float)
    blurred = (z + noise * np.random.default_rng(1).normal(size=size)) / (1 + noise)
    ids = np.arange(size)
    held = HeldOut(None, {"default": y}, ids, ids, (OUTCOME,), "stored answers only")
    return answers(held, pd.DataFrame({"probability": 1 / (1 + np.exp(-2 * blurred))}))


def evidence(public: bool = True) -> dict[str, Any]:
    """Evidence that lacks nothing."""
    return {
        "pipeline": "credit",
        "headline": "a headline",
        "data": {"name": "sba", "digest": "sha256:0", "public": public, "rows": 1500},
        "split": {"test": {"records": 1500}},
        "metrics": {"auroc": 0.8, "auroc_low": 0.78, "auroc_high": 0.82},
        "calibration": {"method": "platt"},
        "arms": [{"name": "alone", "role": "control", "metrics": {"auroc": 0.7}}],
        "privacy": None,
        "findings": ["a finding"],
        "limits": [],
    }


def _package(run_id: str) -> str:
    """A packed model among the run's artifacts, laid out as MLflow lays out a logged one."""
    encoder = Encoder((Numeric("amount", (0.0, 1e4, 1e5)),), ())
    with tempfile.TemporaryDirectory() as folder:
        CreditScorer(encoder, build(encoder.width, 4)).save(Path(folder))
        client().log_artifacts(run_id, folder, "model/artifacts/package")
    return f"{client().get_run(run_id).info.artifact_uri}/model"
