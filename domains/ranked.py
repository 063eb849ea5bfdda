"""Metrics of fixed records, sorted or binned once for many weightings: so resampling is cheap."""

from __future__ import annotations

import numpy as np


def sum_of(one: np.ndarray, other: np.ndarray) -> float:
    """Sum of the products of two vectors; BLAS spreads one over threads that cost more than it."""
    return float(np.einsum("i,i", one, other))


class Area:
    """Area under the ROC curve of one score.

    >>> Area(np.array([0.1, 0.4, 0.4]))(np.array([False, False, True]), np.ones(3))
    0.75

    Args:
        p: Scores, (n,).
    """

    def __init__(self, p: np.ndarray) -> None:
        self._order = np.argsort(p, kind="stable")
        ordered = p[self._order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._ties = None if len(starts) == len(p) else starts

    def __call__(self, positive: np.ndarray, weight: np.ndarray) -> float:
        """Ties counted half; NaN when only one class carries weight.

        Args:
            positive: (n,) bool.
            weight: (n,).
        """
        w = weight[self._order]
        pos = w * positive[self._order]
        neg = w - pos
        if self._ties is not None:
            pos, neg = np.add.reduceat(pos, self._ties), np.add.reduceat(neg, self._ties)
        total = pos.sum() * neg.sum()
        if total == 0:
            return float("nan")
        return sum_of(pos, np.cumsum(neg) - neg / 2) / float(total)


class Areas:
    """Area under the ROC curve of fixed records; of several classes the mean over those that carry
    weight, each against the rest.

    Args:
        y: (n,) of 0 and 1, or of class numbers.
        p: (n,) probability of 1, or (n, k) of the classes.
    """

    def __init__(self, y: np.ndarray, p: np.ndarray) -> None:
        y, p = np.asarray(y), np.asarray(p, dtype=float)
        self._size = len(y)
        one = p.ndim == 1
        pairs = [(y > 0, p)] if one else [(y == k, p[:, k]) for k in range(p.shape[1])]
        self._areas = [(positive, Area(score)) for positive, score in pairs]

    def __call__(self, weight: np.ndarray | None = None) -> float:
        """Under these weights (n,); NaN when only one class carries weight."""
        w = np.ones(self._size) if weight is None else np.asarray(weight, dtype=float)
        areas = np.array([area(positive, w) for positive, area in self._areas])
        present = areas[np.isfinite(areas)]  # a rare class may be absent from a resample
        return float(present.mean()) if len(present) else float("nan")


class Precision:
    """Area under the precision–recall curve of fixed records, as average precision.

    Args:
        y: (n,) of 0 and 1.
        p: (n,) probability of 1.
    """

    def __init__(self, y: np.ndarray, p: np.ndarray) -> None:
        p = np.asarray(p, dtype=float)
        self._order = np.argsort(-p, kind="stable")
        ordered = p[self._order]
        self._yes = (np.asarray(y) > 0)[self._order]
        self._last = np.r_[ordered[1:] != ordered[:-1], True]

    def __call__(self, weight: np.ndarray | None = None) -> float:
        """Under these weights (n,); NaN when no positive carries weight."""
        size = len(self._order)
        w = np.ones(size) if weight is None else np.asarray(weight, dtype=float)[self._order]
        hits, seen = np.cumsum(np.where(self._yes, w, 0.0)), np.cumsum(w)
        last = self._last & (seen > 0)
        if hits[-1] == 0:
            return float("nan")
        recall = hits[last] / hits[-1]
        return float(np.sum(np.diff(np.r_[0.0, recall]) * hits[last] / seen[last]))


class Calibration:
    """Expected calibration error of fixed records; see `domains.metrics.ece`.

    Args:
        y: (n,) of 0 and 1, or of class numbers.
        p: (n,) probability of 1, or (n, k) of the classes.
        bins: Of equal width.
    """

    def __init__(self, y: np.ndarray, p: np.ndarray, bins: int = 15) -> None:
        y, p = np.asarray(y), np.asarray(p, dtype=float)
        if p.ndim == 2:
            y, p = (p.argmax(axis=1) == y).astype(float), p.max(axis=1)
        self._cells = np.minimum((p * bins).astype(int), bins - 1)
        self._gap, self._bins = y - p, bins

    def __call__(self, weight: np.ndarray | None = None) -> float:
        """Under these weights (n,); NaN when no record carries weight."""
        w = np.ones(len(self._gap)) if weight is None else np.asarray(weight, dtype=float)
        if w.sum() == 0:
            return float("nan")
        gap = np.bincount(self._cells, weights=w * self._gap, minlength=self._bins)
        return float(np.abs(gap).sum() / w.sum())
