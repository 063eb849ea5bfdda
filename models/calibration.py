"""Probabilities that mean what they say, fitted on records that nothing else has touched."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from domains.errors import InputError

_LOG_RANGE = (-4.0, 4.0)
_EDGE = 1e-9
_STEPS, _CLOSE, _FAR, _RIDGE = 30, 1e-8, 4.0, 1e-9
_DOUBT = 0.25


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


def fit_label_temperatures(logits: np.ndarray, y: np.ndarray) -> tuple[float, ...]:
    """One temperature a label, each by `fit_temperature` on the records that know the label.

    Args:
        logits: (n, l).
        y: 0 or 1, NaN where it is not known, (n, l).
    """
    known = np.isfinite(y)
    return tuple(
        fit_temperature(logits[known[:, j], j], y[known[:, j], j]) for j in range(y.shape[1])
    )


def label_probabilities(logits: np.ndarray, temperatures: tuple[float, ...]) -> np.ndarray:
    """Probability of each label by itself, (n, l), from logits (n, l)."""
    return np.asarray(expit(np.asarray(logits, dtype=float) / np.asarray(temperatures)))


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


def fit_shrunk(logits: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Temperature T and shift b of p = σ(logit / T + b), near 1 and 0 unless records ask for more.

    Platt's two numbers (1999), with normal priors of standard deviation 0.25 on log T and on b:
    a handful of events cannot move a rare outcome's probabilities far. A temperature by itself
    moves them towards one half, whatever the records' rate.

    Args:
        logits: (n,).
        y: 0 or 1, (n,).
    """
    if len(np.unique(y)) < 2:
        return 1.0, 0.0  # one class says nothing about scale

    def objective(pair: np.ndarray) -> tuple[float, np.ndarray]:
        cooled = logits * np.exp(-pair[0])
        z = cooled + pair[1]
        error = expit(z) - y
        loss = np.sum(np.logaddexp(0.0, z) - y * z) + pair @ pair / (2 * _DOUBT**2)
        slope = np.array([-np.sum(error * cooled), np.sum(error)]) + pair / _DOUBT**2
        return float(loss), slope

    log_temperature, shift = minimize(objective, np.zeros(2), jac=True, method="BFGS").x
    return float(np.exp(log_temperature)), float(shift)


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


def calibration_line(
    y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None
) -> tuple[float, float]:
    """Slope and intercept of what happened on what was said (Cox, 1958; Steyerberg, 2019).

    The slope is that of logit(y) = a + slope · logit(p): below 1, probabilities are too extreme.
    The intercept is that of logit(y) = intercept + logit(p): above 0, they are too low in the
    large. NaN where only one outcome carries weight.

    Args:
        y: 0 or 1, (n,).
        p: Probabilities, (n,).
        weight: Of the records, (n,); default 1 each.
    """
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    if not 0 < float(w @ y) < w.sum():
        return float("nan"), float("nan")
    z = log_odds(p)
    both = _newton(np.column_stack([np.ones(len(z)), z]), y, w, np.zeros(len(z)))
    alone = _newton(np.ones((len(z), 1)), y, w, z)
    return float(both[1]), float(alone[0])


def log_odds(p: np.ndarray) -> np.ndarray:
    """Logit of probabilities, kept finite."""
    return np.asarray(logit(np.clip(p, _EDGE, 1 - _EDGE)))


def shifted_intercept(intercept: float, before: float, after: float) -> float:
    """A calibration's intercept after the default rate has moved from `before` to `after`.

    Under a prior shift who defaults looks as before, there are only more or fewer of them. Then
    the log-odds of every record move by the same amount, logit(after) − logit(before) (Saerens,
    Latinne and Decaestecker, 2002), and no order changes. Only the new rate has to be known, not
    the outcome of any record.

    Raises:
        InputError: A rate is not between 0 and 1.

    >>> shifted_intercept(0.0, 0.2, 0.2)
    0.0
    """
    for name, rate in (("before", before), ("after", after)):
        if not 0 < rate < 1:
            raise InputError(f"default rate {name}: found {rate}, expected one between 0 and 1")
    return float(intercept + logit(after) - logit(before))


def _newton(x: np.ndarray, y: np.ndarray, w: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Coefficients of a logistic regression with a trace of ridge, which keeps them finite."""
    found = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = expit(offset + x @ found)
        slope = x.T @ (w * (y - p)) - _RIDGE * found
        bend = (x * (w * p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(len(found))
        step = np.clip(np.linalg.solve(bend, slope), -_FAR, _FAR)
        found = found + step
        if np.abs(step).max() < _CLOSE:
            break
    return found
