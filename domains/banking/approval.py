"""Decisions by a threshold: who is approved, and how that differs between groups.

Everything takes rows of weights, so that all resamples of a bootstrap are computed at once; the
first row is usually the sample itself. `y` is 1 where a loan defaulted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ENOUGH = 20
"""Records that a share needs under it before it says anything."""


def threshold(p: np.ndarray, rate: float) -> float:
    """The probability of default up to which a share of at least `rate` is approved.

    It lies in the middle between the last that is approved and the first that is not, so that
    no rounding decides.

    Args:
        p: Probabilities of default, (n,).
        rate: Above 0, at most 1.

    >>> threshold(np.array([0.1, 0.2, 0.3, 0.4]), 0.5)
    0.25
    """
    levels, counts = np.unique(p, return_counts=True)
    reached = np.cumsum(counts) >= rate * len(p) - 1e-9
    last = int(np.argmax(reached))
    if last + 1 == len(levels):
        return 1.0
    middle = levels[last : last + 2].mean()
    return float(middle if middle < levels[last + 1] else levels[last])  # neighbouring floats


@dataclass(frozen=True)
class Rates:
    """Shares by group, each (resamples, groups); NaN where fewer than `ENOUGH` stand under it.

    Attributes:
        default: Defaulted.
        predicted: Mean probability of default less the share that defaulted.
        approved: Approved.
        of_repaid: Approved among those who repaid.
        of_defaulted: Approved among those who defaulted.
        bad: Defaulted among those who were approved.
    """

    default: np.ndarray
    predicted: np.ndarray
    approved: np.ndarray
    of_repaid: np.ndarray
    of_defaulted: np.ndarray
    bad: np.ndarray


def rates(
    weights: np.ndarray, y: np.ndarray, p: np.ndarray, approved: np.ndarray, group: np.ndarray
) -> Rates:
    """Shares of every group under every row of weights.

    Args:
        weights: (r, n).
        y, p: Outcomes and probabilities, (n,).
        approved: bool, (n,).
        group: Number of each record's group, from 0, (n,).
    """
    member = np.eye(int(group.max()) + 1, dtype=weights.dtype)[group]
    bad, yes = y > 0, np.asarray(approved, dtype=bool)

    def share(values: np.ndarray, among: np.ndarray) -> np.ndarray:
        under = member * among[:, None]
        few = under.sum(axis=0) < ENOUGH
        with np.errstate(invalid="ignore", divide="ignore"):
            valued = (under * values[:, None]).astype(weights.dtype)
            found: np.ndarray = (weights @ valued).astype(float) / (weights @ under)
        found[:, few] = np.nan
        return found

    every = np.ones(len(y), dtype=bool)
    return Rates(
        default=share(y, every),
        predicted=share(p - y, every),
        approved=share(yes, every),
        of_repaid=share(yes, ~bad),
        of_defaulted=share(yes, bad),
        bad=share(bad, yes),
    )


def gap(shares: np.ndarray) -> np.ndarray:
    """Largest less smallest share over the groups that have one, (r, k) → (r,); NaN below two."""
    told = _told(shares)
    if told.shape[1] < 2:
        return np.full(len(shares), np.nan)
    return np.asarray(told.max(axis=1) - told.min(axis=1))


def ratio(shares: np.ndarray) -> np.ndarray:
    """Smallest over largest share, (r, k) → (r,); NaN below two groups, 1 where nobody has any."""
    told = _told(shares)
    if told.shape[1] < 2:
        return np.full(len(shares), np.nan)
    low, high = told.min(axis=1), told.max(axis=1)
    return np.asarray(np.divide(low, high, out=np.ones(len(told)), where=high > 0))


def _told(shares: np.ndarray) -> np.ndarray:
    return np.asarray(shares[:, ~np.isnan(shares[0])])


def levelled(
    p: np.ndarray, group: np.ndarray, like: np.ndarray, like_group: np.ndarray
) -> np.ndarray:
    """Each score's place within its own group, (n,) in [0, 1], ties in the middle.

    Any threshold on these places approves an equal share of each group of those they are counted
    among: of all, that is demographic parity; of those who repaid, equal opportunity (Hardt,
    Price and Srebro, 2016, arXiv:1610.02413). Within a group no order changes.

    Args:
        p, group: Scores and group numbers to place, (n,).
        like, like_group: Scores and group numbers to count among, (m,); every group occurs.
    """
    placed = np.empty(len(p))
    for number in np.unique(group):
        own = np.sort(like[like_group == number])
        mine = group == number
        below = np.searchsorted(own, p[mine], side="left")
        up_to = np.searchsorted(own, p[mine], side="right")
        placed[mine] = (below + up_to) / (2 * len(own))
    return placed
