"""Harrell's concordance in O(n log n), prepared once for many weightings of the same records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Level:
    """Pairs whose time ranks first differ at one bit: `later` records face `earlier` events.

    `order` sorts records by (block of ranks, risk); the rest are places in the running sum of the
    later records' weights: where an event's block starts and ends, and its ties of risk.
    """

    order: np.ndarray
    later: np.ndarray
    event: np.ndarray
    start: np.ndarray
    tie_start: np.ndarray
    tie_end: np.ndarray
    end: np.ndarray


class Concordance:
    """Of comparable pairs, the share ordered as the risk says (Harrell et al., 1982).

    A pair is comparable when the earlier of two different times is an event. Ties of risk count
    half. Two ranks of time differ first at some bit, where the smaller has 0 and the larger 1; so
    each pair is counted at exactly one bit, by a running sum over records sorted by risk.

    >>> y = np.array([[1.0, 1], [2.0, 1], [3.0, 0]])
    >>> Concordance(y, np.array([0.9, 0.1, 0.4]))()
    0.6666666666666666

    Args:
        y: (n, 2) of time and event.
        p: (n,) risk, larger is sooner.
    """

    def __init__(self, y: np.ndarray, p: np.ndarray) -> None:
        y = np.asarray(y, dtype=float)
        self._size = len(y)
        time = np.unique(y[:, 0], return_inverse=True)[1]
        risk = np.unique(np.asarray(p, dtype=float), return_inverse=True)[1]
        bits = int(time.max()).bit_length() if len(time) else 0
        self._levels = [_level(time, y[:, 1] > 0, risk, bit) for bit in range(bits)]

    def __call__(self, weight: np.ndarray | None = None) -> float:
        """Concordance under these weights (n,); NaN when no pair is comparable."""
        w = np.ones(self._size) if weight is None else np.asarray(weight, dtype=float)
        concordant = comparable = 0.0
        for level in self._levels:
            total = np.concatenate(([0.0], np.cumsum(w[level.order] * level.later)))
            weights = w[level.event]
            comparable += weights @ (total[level.end] - total[level.start])
            below = (total[level.tie_start] + total[level.tie_end]) / 2
            concordant += weights @ (below - total[level.start])
        return float(concordant / comparable) if comparable else float("nan")


def _level(time: np.ndarray, event: np.ndarray, risk: np.ndarray, bit: int) -> _Level:
    block, later = time >> (bit + 1), (time >> bit) & 1
    order = np.lexsort((risk, block))
    block_start, block_end = _runs(block[order])
    new_risk = np.r_[0, np.cumsum((np.diff(risk[order]) != 0) | (np.diff(block[order]) != 0))]
    tie_start, tie_end = _runs(new_risk)
    events = np.flatnonzero((later[order] == 0) & event[order])
    return _Level(
        order,
        later[order].astype(float),
        order[events],
        block_start[events],
        tie_start[events],
        tie_end[events],
        block_end[events],
    )


def _runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one-past-last place of the run of equal values that each place lies in."""
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    lengths = np.diff(np.r_[starts, len(values)])
    return np.repeat(starts, lengths), np.repeat(starts + lengths, lengths)


def in_order(y: np.ndarray, p: np.ndarray) -> Concordance:
    """Of pairs of different levels, the share that a prediction puts in their order.

    The generalised AUROC of an ordinal outcome: of two levels it is theirs.

    >>> in_order(np.array([0.0, 1.0, 2.0]), np.array([0.1, 0.9, 0.4]))()
    0.6666666666666666

    Args:
        y: Numbers of levels, (n,).
        p: (n,), larger is a higher level.
    """
    return Concordance(np.column_stack([y, np.ones(len(y))]), -np.asarray(p, dtype=float))
