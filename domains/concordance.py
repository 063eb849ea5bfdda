"""Harrell's concordance in O(n log n), prepared once for many weightings of the same records."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domains.ranked import sum_of


@dataclass(frozen=True)
class _Level:
    """Pairs whose time ranks first differ at one bit: `later` records face `earlier` events.

    `order` sorts records by (block of ranks, risk), and the others are in that order: `runs` are
    the first places of equal risks in a block, None where no two are equal, and `blocks` the first
    places of blocks among runs.
    """

    order: np.ndarray
    later: np.ndarray
    earlier: np.ndarray
    runs: np.ndarray | None
    blocks: np.ndarray

    def pairs(self, weight: np.ndarray) -> tuple[float, float]:
        """Weight of the pairs in the risk's order, those of equal risk by half, and of all."""
        w = weight[self.order]
        later, earlier = w * self.later, w * self.earlier
        if self.runs is not None:
            later, earlier = (np.add.reduceat(each, self.runs) for each in (later, earlier))
        below = np.cumsum(later) - later / 2
        of_later, of_earlier = (np.add.reduceat(each, self.blocks) for each in (later, earlier))
        before = np.cumsum(of_later) - of_later  # of other blocks
        return sum_of(earlier, below) - sum_of(of_earlier, before), sum_of(of_earlier, of_later)


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
        found = [level.pairs(w) for level in self._levels]
        comparable = sum(pairs for _, pairs in found)
        return sum(pairs for pairs, _ in found) / comparable if comparable else float("nan")


def _level(time: np.ndarray, event: np.ndarray, risk: np.ndarray, bit: int) -> _Level:
    block, later = time >> (bit + 1), (time >> bit) & 1
    order = np.lexsort((risk, block))
    new_block = np.r_[True, np.diff(block[order]) != 0]
    runs = np.flatnonzero(new_block | np.r_[True, np.diff(risk[order]) != 0])
    return _Level(
        order,
        (later == 1)[order],
        ((later == 0) & event)[order],
        None if len(runs) == len(order) else runs,
        np.flatnonzero(new_block[runs]),
    )


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
