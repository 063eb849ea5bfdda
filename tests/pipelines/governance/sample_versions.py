"""Small packed models in a registry, as they would be after training, without the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from domains.banking.features import Categorical, Numeric
from models.credit import CreditScorer
from models.credit import build as build_net
from models.credit_encoding import Encoder
from models.imaging.backbones import Classifier, build
from models.imaging.scorer import ImagingScorer
from models.scorer import Scorer
from pipelines.governance import registry
from pipelines.tracking import client, experiment

LOANS = "credit-loans"


def loan_scorer(seed: int = 0) -> CreditScorer:
    """Two numbers and a category in, a probability out."""
    encoder = Encoder(
        (
            Numeric("amount", (0.0, 1e4, 3e4, 1e6)),
            Numeric("income", (0.0, 2e4, 5e4)),
            Categorical("purpose", ("car", "home", "1")),
        )
    )
    net = build_net(encoder.width, 8, seed)
    with torch.no_grad():
        for weights in net.parameters():  # far apart, so that no two records look alike
            weights.mul_(8)
    return CreditScorer(encoder, net, 1.1, -0.2)


def image_scorer() -> ImagingScorer:
    """Images of any size in, two classes out."""
    net = Classifier(build("efficientnet-lite0", 32, seed=0), 2).eval()
    return ImagingScorer(net, ("benign", "malignant"), 32, 1.3)


def loans(rows: int, seed: int = 0) -> pd.DataFrame:
    """Made-up loans with an id, and a column the model does not need."""
    draws = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "loan": [f"L{number:07d}" for number in range(rows)],
            "amount": draws.lognormal(10, 1, rows).round(2),
            "income": np.where(draws.random(rows) < 0.1, np.nan, draws.lognormal(10, 1, rows)),
            "purpose": draws.choice(["car", "home", "boat"], rows),
            "remark": draws.choice(["a, b", 'say "no"', "ä"], rows),
        }
    )


def register(scorer: Scorer, name: str, params: dict[str, str] | None = None) -> str:
    """Register a packed model and make it champion; returns its version."""
    tracker = client()
    run_id = tracker.create_run(experiment(tracker, name.partition("-")[0])).info.run_id
    for key, value in (params or {}).items():
        tracker.log_param(run_id, key, value)
    packed = Path(tracker.get_run(run_id).info.artifact_uri.removeprefix("file://")) / "model"
    scorer.save(packed / "artifacts" / "package")  # type: ignore[attr-defined]
    version = registry.create_version(name, packed.as_uri(), run_id, {})
    tracker.set_registered_model_alias(name, registry.CHAMPION, version)
    return version
