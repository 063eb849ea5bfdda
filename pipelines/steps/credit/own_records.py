"""One lender's records among all, and what it makes of them by itself: rate, codes, calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.calibration import fit_platt
from models.credit_encoding import Coding
from models.federated.personal import likelihoods, shares
from models.scorecard import ROW_NORM
from pipelines.steps.credit.prepare import Prepared

SCORECARD = Coding("steps", balanced=True, norm=ROW_NORM)


@dataclass(frozen=True)
class Part:
    """Where one lender's records of each kind lie, among all."""

    train: np.ndarray
    calibration: np.ndarray
    every: np.ndarray

    def place(self, rows: np.ndarray) -> np.ndarray:
        """Where some of `every` stand in it; both rise."""
        return np.searchsorted(self.every, rows)


def parts_of(facts: pd.DataFrame) -> dict[str, Part]:
    """Every lender's records; one that has none is not among them."""
    kinds, made = facts["part"].to_numpy(), {}
    for name, found in facts.groupby("client", sort=True).indices.items():
        rows = np.asarray(found)
        training, calibration = kinds[rows] == "train", kinds[rows] == "calibration"
        made[str(name)] = Part(rows[training], rows[calibration], rows)
    return made


def step_codes(prepared: Prepared) -> np.ndarray:
    """Records as a scorecard takes them, (n, width), whatever the shared model is."""
    encoder = prepared.encoder
    if encoder.coding.kind == "steps" and encoder.coding.balanced:
        return prepared.codes
    coded = type(encoder)(encoder.features, encoder.derived, SCORECARD)
    return coded.encode(prepared.frame)


def with_constant(codes: np.ndarray) -> np.ndarray:
    """Codes (n, d) with a last one that is always the same, (n, d + 1) float32."""
    return np.column_stack([codes, np.full(len(codes), ROW_NORM, np.float32)]).astype(
        np.float32, copy=False
    )


def counted(candidates: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What each candidate counts, (k,), by the likelihood of its log-odds (m, k) on calibration
    records; without any, the first one is all."""
    if len(y):
        return shares(likelihoods(candidates, y))
    return np.eye(candidates.shape[1])[0]


def each_calibrated(facts: pd.DataFrame, raw: np.ndarray) -> np.ndarray:
    """Log-odds (n,) after every lender's own `platt`, on its own calibration records."""
    y, made = facts["y"].to_numpy(), raw.copy()
    for part in parts_of(facts).values():
        slope, intercept = fit_platt(raw[part.calibration], y[part.calibration])
        if slope > 0:  # else worse than chance, and must not be turned over
            made[part.every] = slope * raw[part.every] + intercept
    return made
