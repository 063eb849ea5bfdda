"""What acting on a probability is worth, at each probability from which one would act."""

from __future__ import annotations

import numpy as np

from domains.ranked import sum_of


def net_benefit(
    y: np.ndarray, p: np.ndarray, threshold: float, weight: np.ndarray | None = None
) -> float:
    """True positives a record, less false positives at the price that the threshold puts on them.

    Who acts from a probability t on holds a missed case to be (1 − t) / t times as bad as a false
    alarm (Vickers and Elkin, 2006, doi:10.1177/0272989X06295361). Acting on no one is worth 0; a
    model that knows the future is worth the prevalence at every threshold.

    >>> net_benefit(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.7, 0.2]), 0.5)
    0.0

    Args:
        y: 0 or 1, (n,).
        p: Probabilities, (n,); records from the threshold on are acted on.
        threshold: Above 0 and below 1.
        weight: Of the records, (n,); default 1 each.
    """
    w = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    acted = w * (np.asarray(p) >= threshold)
    price = threshold / (1.0 - threshold)
    true = sum_of(acted, np.asarray(y) > 0)
    return float((true - price * (acted.sum() - true)) / w.sum())


def benefit_curve(y: np.ndarray, p: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Net benefit at each threshold, (thresholds,)."""
    return np.array([net_benefit(y, p, float(threshold)) for threshold in thresholds])


def thresholds_for(prevalence: float) -> np.ndarray:
    """Thresholds around a prevalence at which somebody might act: up to four times it."""
    return np.linspace(0.0, min(4 * prevalence, 0.95), 61)[1:]
