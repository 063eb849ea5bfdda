"""A scorecard made of known weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from domains.banking.features import Categorical, Derived, Numeric
from models.credit_encoding import Coding, Encoder
from models.scorecard import build, make_card
from models.scorecard_points import Scale, Scorecard

FEATURES = (
    Numeric("amount", (0.0, 1e4, 3e4, 1e6)),
    Numeric("income", (0.0, 2e4, 5e4)),
    Categorical("purpose", ("car", "home")),
    Numeric("burden", (0.0, 0.5, 1.0, 4.0)),
)
DERIVED = (Derived("burden", "share", ("amount", "income")),)


def sample_encoder(kind: Any = "steps") -> Encoder:
    return Encoder(FEATURES, DERIVED, Coding(kind, balanced=True, norm=1.0))


def sample_model(encoder: Encoder, seed: int = 1) -> torch.nn.Sequential:
    model, draws = build(encoder.width), np.random.default_rng(seed)
    weight, bias = model.parameters()
    with torch.no_grad():
        weight.copy_(torch.from_numpy(draws.normal(0, 2, (1, encoder.width))))
        bias.copy_(torch.tensor([-1.0]))
    return model


def sample_card(kind: Any = "steps", seed: int = 1, slope: float = 0.9) -> Scorecard:
    encoder = sample_encoder(kind)
    return make_card(encoder, sample_model(encoder, seed), slope, -0.2, Scale())
