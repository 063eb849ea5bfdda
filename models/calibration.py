"""Probabilities that mean what they say, fitted on records that nothing else has touched."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, softmax

_LOG_RANGE = (-4.0, 4.0)


def fit_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """Temperature T that minimises the log loss of softmax(logits / T).

    Temperature scaling (Guo et al., 2017, arXiv:1706.04599) never changes which class is first.

    Args:
        logits: (n, k), or (n,) for a binary outcome.
        y: Class numbers (n,).
    """

    def log_loss(log_temperature: float) -> float:
        return _log_loss(logits / np.exp(log_temperature), y)

    if len(np.unique(y)) < 2:
        return 1.0  # one class says nothing about scale
    return float(np.exp(minimize_scalar(log_loss, bounds=_LOG_RANGE, method="bounded").x))


def _log_loss(logits: np.ndarray, y: np.ndarray) -> float:
    if logits.ndim == 1:
        return float(np.mean(np.logaddexp(0.0, logits) - y * logits))
    return float(-np.mean(log_softmax(logits, axis=1)[np.arange(len(y)), y]))


def probabilities(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities from logits: (n,) → (n,) by the logistic function, (n, k) → (n, k)."""
    scaled = np.asarray(logits, dtype=float) / temperature
    return expit(scaled) if scaled.ndim == 1 else softmax(scaled, axis=1)


def fit_platt(logits: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of a logistic recalibration, p = σ(slope · logit + intercept).

    Platt (1999) with his smoothed targets, which keep it finite on a separable sample.

    Args:
        logits: (n,).
        y: 0 or 1, (n,).
    """
    positives = float(np.sum(y))
    negatives = len(y) - positives
    if positives == 0 or negatives == 0:
        return 1.0, 0.0
    smooth = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def objective(pair: np.ndarray) -> float:
        z = pair[0] * logits + pair[1]
        return float(np.mean(np.logaddexp(0.0, z) - smooth * z))

    slope, intercept = minimize(objective, np.array([1.0, 0.0]), method="BFGS").x
    return float(slope), float(intercept)


def reliability(y: np.ndarray, p: np.ndarray, bins: int = 10) -> list[dict[str, float]]:
    """Points of a reliability diagram: mean probability, observed rate, records; equal counts.

    Args:
        y: 0 or 1, (n,).
        p: Probabilities, (n,).
        bins: At most so many points.
    """
    order = np.argsort(p, kind="stable")
    cells = [cell for cell in np.array_split(order, bins) if len(cell)]
    return [
        {"mean": float(p[cell].mean()), "rate": float(y[cell].mean()), "records": len(cell)}
        for cell in cells
    ]
