"""What a bank would deploy: a small net on encoded loans, calibrated, from raw columns to risk."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from models.calibration import probabilities
from models.credit_encoding import Encoder
from models.scorer import DESCRIPTION

_WEIGHTS = "weights.safetensors"
_ENCODER = "encoder.json"
_ROWS = 1 << 16


def build(width: int, hidden: int, seed: int = 0) -> nn.Sequential:
    """One hidden tanh layer; tanh bounds activations, and so gradients that must be clipped.

    Args:
        width: Codes a record has.
        hidden: Hidden units.
        seed: Of the initial weights, which are public.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1))


def logits(model: nn.Module, codes: np.ndarray) -> np.ndarray:
    """Logits of encoded records, (n,) float64, in pieces."""
    model.eval()
    with torch.inference_mode():
        parts = [
            model(torch.from_numpy(codes[start : start + _ROWS].copy()))[:, 0].double().numpy()
            for start in range(0, len(codes), _ROWS)
        ]
    return np.concatenate(parts) if parts else np.zeros(0)


@dataclass(frozen=True)
class CreditScorer:
    """From raw loan records to the probability of default.

    Attributes:
        encoder: Raw columns to codes.
        model: Codes to a logit, from `build`.
        slope, intercept: Calibration, p = σ(slope · logit + intercept).
    """

    encoder: Encoder
    model: nn.Sequential
    slope: float = 1.0
    intercept: float = 0.0

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Column `probability`, one row a record, in the same order.

        An unseen value of a category counts as other, an empty field as empty.

        Raises:
            InputError: A column is missing, or a number is infinite or text.
        """
        raw = logits(self.model, self.encoder.encode(inputs))
        p = probabilities(self.slope * raw + self.intercept)
        return pd.DataFrame({"probability": p}, index=inputs.index)

    def save(self, folder: Path) -> None:
        """Write description, encoder and weights: JSON and safetensors, no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "kind": "credit",
            "model": "mlp",
            "hidden": self.model[0].out_features,
            "slope": self.slope,
            "intercept": self.intercept,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
        self.encoder.save(folder / _ENCODER)
        save_file(dict(self.model.state_dict()), folder / _WEIGHTS)


def load_scorer(folder: Path) -> CreditScorer:
    """Read what `CreditScorer.save` wrote."""
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    encoder = Encoder.load(folder / _ENCODER)
    model = build(encoder.width, int(description["hidden"]))
    model.load_state_dict(load_file(folder / _WEIGHTS))
    return CreditScorer(encoder, model, description["slope"], description["intercept"])
