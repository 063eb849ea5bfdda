"""How good predicted survival curves are, where some people are lost before anything happens."""

from __future__ import annotations

import numpy as np


def kaplan_meier(y: np.ndarray, at: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Share that is event-free at some times (Kaplan and Meier, 1958), (times,).

    Args:
        y: (n, 2) of time and event.
        at: Times, (times,).
        weight: Of the records, (n,); default 1 each.

    >>> kaplan_meier(np.array([[1.0, 1], [2.0, 0], [3.0, 1]]), np.array([0.5, 1.0, 2.5, 3.0]))
    array([1.        , 0.66666667, 0.66666667, 0.        ])
    """
    return KaplanMeier(y)(at, weight)


class KaplanMeier:
    """`kaplan_meier` of fixed records, sorted once for many weightings.

    Args:
        y: (n, 2) of time and event.
    """

    def __init__(self, y: np.ndarray) -> None:
        time, event = np.asarray(y, dtype=float).T
        self._ranked = np.unique(time, return_inverse=True)
        self._died = event > 0

    def __call__(self, at: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Share that is event-free at some times, (times,), under these weights (n,)."""
        died = self._died
        w = np.ones(len(died)) if weight is None else np.asarray(weight, dtype=float)
        return _left(self._ranked, died, np.zeros(len(died), dtype=bool), w, at, side="right")


def _left(
    ranked: tuple[np.ndarray, np.ndarray],
    leaves: np.ndarray,
    first: np.ndarray,
    w: np.ndarray,
    at: np.ndarray,
    side: str,
) -> np.ndarray:
    """Product-limit estimate of the share that has not left, at `at` or just before it.

    `ranked` are the distinct times, and which of them is each record's. `first` are those that go
    before others of the same time leave, and so are not at risk of it.
    """
    distinct, place = ranked
    left = np.bincount(place, w * leaves)
    at_risk = np.cumsum(np.bincount(place, w)[::-1])[::-1] - np.bincount(place, w * first)
    kept = 1.0 - np.divide(left, at_risk, out=np.zeros(len(left)), where=at_risk > 0)
    share = np.r_[1.0, np.cumprod(kept)]
    return np.asarray(share[np.searchsorted(distinct, at, side=side)])  # type: ignore[call-overload]


class IntegratedBrier:
    """Mean squared distance of event-free probabilities from what happened, over time.

    The Brier score under censoring of Graf et al. (1999,
    doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5): who is lost
    counts up to that time, and others count more for them, by the inverse of the probability of
    not being lost. That one is estimated on all records, and not again on each resample. The
    integral over time is by trapezoids from 0, where every curve is right, to the last time, and
    divided by it. Less is better.

    Args:
        y: (n, 2) of time and event.
        free: Probability of being event-free at each time, (n, times).
        at: Times, ascending and above 0, (times,).
    """

    def __init__(self, y: np.ndarray, free: np.ndarray, at: np.ndarray) -> None:
        time, event = np.asarray(y, dtype=float).T
        died = event > 0
        ones, ranked = np.ones(len(time)), np.unique(time, return_inverse=True)
        at_times, at_events = (
            _left(ranked, ~died, died, ones, when, side)
            for when, side in ((at, "right"), (time, "left"))
        )
        later = time[:, None] > at
        known = np.where(later, at_times, np.where(died, at_events, np.inf)[:, None])
        each = np.divide((later - free) ** 2, known, out=np.zeros(free.shape), where=known > 0)
        widths = np.diff(at, prepend=0.0)
        middles = (np.column_stack([np.zeros(len(each)), each[:, :-1]]) + each) / 2
        self._each = middles @ widths / at[-1]

    def __call__(self, weight: np.ndarray | None = None) -> float:
        """The score under these weights (n,)."""
        return float(np.average(self._each, weights=weight))
