"""What a bank would deploy: a small net on encoded loans, calibrated, from raw columns to risk.

Boosted trees (`models.trees`) take the net's place here. A scorecard is in `models.scorecard`; all
three are packed and loaded the same way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from domains.unseen import Marks
from models.calibration import probabilities
from models.checkpoint import Checkpoint
from models.credit_decision import UNKNOWN, Use, check_rising
from models.credit_encoding import Encoder
from models.credit_reasons import LogOdds, Reason, explained, reasons
from models.inference import batches
from models.intake import Field
from models.scorecard_points import Scorecard, load_card
from models.scorer import DESCRIPTION
from models.training import capture, restore, shapes
from models.trees.model import Trees, asking, from_state
from privacy.dpsgd import mean_cross_entropy

_WEIGHTS = "weights.safetensors"
_ENCODER = "encoder.json"
_EPOCHS, _BATCH, _RATE, _DECAY = 10, 128, 3e-3, 1e-4


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
        parts = [model(part)[:rows, 0].double().numpy() for part, rows in batches(codes)]
    return np.concatenate(parts) if parts else np.zeros(0)


def train_centrally(
    model: nn.Module,
    codes: np.ndarray,
    y: np.ndarray,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> float:
    """Train a net in place on records in one hand, without privacy: Adam, a fixed number of epochs.

    What a lender would do alone, or all together with pooled records: no reason binds them to the
    few clipped steps of the federated training, so a fair control does not take them.

    Args:
        model: From `build`.
        codes: Encoded records, (n, width).
        y: 0 or 1, (n,).
        seed: Of the batches, together with the epoch.
        checkpoint: Saved after an epoch when that is due; a training that was killed goes on
            from it.

    Returns:
        Wall time in seconds, attempts before this one included.
    """
    features, target = torch.from_numpy(codes.copy()), torch.from_numpy(y.copy())
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE, weight_decay=_DECAY)
    model.train()
    kept = checkpoint.of(seed, shapes(model), codes.shape) if checkpoint else None
    found = kept.load() if kept else None
    if found:
        restore(found[0], model, optimizer)
    done, seconds = (found[1]["epoch"], found[1]["seconds"]) if found else (0, 0.0)
    started = time.perf_counter() - seconds
    for epoch in range(done, _EPOCHS):
        draws = torch.Generator().manual_seed(seed * 100_003 + epoch)
        for rows in torch.randperm(len(features), generator=draws).split(_BATCH):
            optimizer.zero_grad()
            mean_cross_entropy(model(features[rows]), target[rows]).backward()
            optimizer.step()
        if kept and kept.due():
            facts = {"epoch": epoch + 1, "seconds": time.perf_counter() - started}
            kept.save(capture(model, optimizer), facts)
    return time.perf_counter() - started


@dataclass(frozen=True)
class CreditScorer:
    """From raw loan records to the probability of default.

    Attributes:
        encoder: Raw columns to codes.
        model: Codes to a logit, from `build` here or in `models.trees`.
        slope, intercept: Calibration, p = σ(slope · logit + intercept).
        use: Threshold and default rate, as far as they are known.
    """

    encoder: Encoder
    model: nn.Sequential | Trees
    slope: float = 1.0
    intercept: float = 0.0
    use: Use = UNKNOWN

    @property
    def fields(self) -> tuple[Field, ...]:
        """Raw columns of a loan."""
        return self.encoder.fields

    @property
    def outputs(self) -> tuple[str, ...]:
        """The one prediction."""
        return ("probability",)

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """Column `probability`, one row a record, in the same order.

        An unseen value of a category counts as other, an empty field as empty.

        Raises:
            InputError: A column is missing, or a number is infinite or text.
        """
        return self._predicted(self.encoder.encode(inputs), inputs.index)

    def predict_noting(self, inputs: pd.DataFrame) -> tuple[pd.DataFrame, Marks]:
        """`predict`, and which categories are unknown."""
        marks: Marks = {}
        codes = self.encoder.encode(inputs, marks)
        return self._predicted(codes, inputs.index), marks

    def _predicted(self, codes: np.ndarray, index: pd.Index[Any]) -> pd.DataFrame:
        return pd.DataFrame({"probability": probabilities(self._log_odds(codes))}, index=index)

    def reasons(self, inputs: pd.DataFrame, top: int = 4) -> list[list[Reason]]:
        """What raises each record's risk most, strongest first; see `models.credit_reasons`."""
        return reasons(self.encoder, self._log_odds, inputs, top, self._part)

    def explain(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """`reasons` as columns `reason_1` … of features' names; None where fewer raise the risk."""
        return explained(self.encoder, self._log_odds, inputs, self._part)

    def recalibrated(
        self, slope: float, intercept: float, default_rate: float | None
    ) -> CreditScorer:
        """The same weights with log-odds slope · z + intercept for z, and the threshold with them.

        Args:
            slope, intercept: Of the change.
            default_rate: That the probabilities are then calibrated to; None: not known.

        Raises:
            InputError: The slope is not above 0.
        """
        check_rising(slope)
        return replace(
            self,
            slope=slope * self.slope,
            intercept=slope * self.intercept + intercept,
            use=self.use.moved(slope, intercept, default_rate),
        )

    @property
    def _part(self) -> Callable[[int], LogOdds] | None:
        """Of trees, those that ask about a feature; a net has no part of its own for one."""
        model = self.model
        if not isinstance(model, Trees):
            return None

        def of(place: int) -> LogOdds:
            some = asking(model, place)
            return lambda codes: self.slope * logits(some, codes)

        return of

    def _log_odds(self, codes: np.ndarray) -> np.ndarray:
        return self.slope * logits(self.model, codes) + self.intercept

    def save(self, folder: Path) -> None:
        """Write description, encoder and weights: JSON and safetensors, no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        calibration = {"slope": self.slope, "intercept": self.intercept}
        description = {"kind": "credit", **_kind_of(self.model), **calibration}
        description |= self.use.to_json()
        (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
        self.encoder.save(folder / _ENCODER)
        save_file(dict(self.model.state_dict()), folder / _WEIGHTS)


def _kind_of(model: nn.Sequential | Trees) -> dict[str, Any]:
    if isinstance(model, Trees):
        return {"model": "trees"}
    return {"model": "mlp", "hidden": model[0].out_features}


def load_scorer(folder: Path) -> CreditScorer | Scorecard:
    """Read what `CreditScorer.save` or `Scorecard.save` wrote."""
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    if description["model"] == "scorecard":
        return load_card(folder)
    encoder, weights = Encoder.load(folder / _ENCODER), load_file(folder / _WEIGHTS)
    calibration = description["slope"], description["intercept"], Use.from_json(description)
    if description["model"] == "trees":
        return CreditScorer(encoder, from_state(weights), *calibration)
    model = build(encoder.width, int(description["hidden"]))
    model.load_state_dict(weights)
    return CreditScorer(encoder, model, *calibration)
