"""What a client tells of its records in a tree: noised sums of gradients and curvatures, leaf by
leaf.

Unit: one record of one owner, added or removed. A record is in one leaf of a tree. With the
probability p that the trees so far give it and its outcome y, it adds the pair (g, s·h) there, with
g = p − y, h = p·(1 − p) and s = 3.33. Of all p and y the pair's norm is at most 1: for y = 0,
g² + s²h² = p²·(1 + s²(1 − p)²), which stays below 1 as long as s² ≤ (1 + p)/(p²·(1 − p)), and the
least of these is (11 + 5√5)/2 = 11.09, where 1 − p = (3 − √5)/2; y = 1 is the same with p and 1 − p
exchanged. So curvatures ride along for nothing. The pair is shortened to the plan's clip norm C; a
record whose pair is not finite is left out, for in the sums it would give itself away. Each client
adds N(0, (σC)²) to both sums of every leaf, empty leaves included, by itself and before they leave
it: one tree is one Gaussian mechanism of sensitivity C with all of the client's records (rate 1),
and so many trees are so many of them, composed by the plan.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from privacy import noise
from privacy.plan import PrivacyPlan, Schedule

Floats = NDArray[np.float64]

CURVATURE = 3.33
"""s: what a curvature is multiplied with before its noise, and divided by after it."""


def pairs(log_odds: Floats, y: np.ndarray, schedule: Schedule) -> Floats:
    """What each record adds to its leaf: gradient and scaled curvature, (2, n).

    Args:
        log_odds: By the trees so far, (n,).
        y: 0 or 1, (n,).
        schedule: A `PrivacyPlan` shortens each pair to its clip norm, and leaves out what is not
            finite.
    """
    p = expit(log_odds)
    made = np.stack([p - y, CURVATURE * p * (1.0 - p)])
    if isinstance(schedule, PrivacyPlan):
        lengths = np.hypot(*made)
        shares = np.minimum(1.0, schedule.clip_norm / np.maximum(lengths, 1e-300))
        made = np.where(np.isfinite(lengths), made * shares, 0.0)
    return made


def leaf_sums(
    leaf: np.ndarray, client: np.ndarray, added: Floats, shape: tuple[int, int]
) -> Floats:
    """Exact sums of every leaf of every client, (clients, leaves, 2): they stay where they are.

    Args:
        leaf, client: Of each record, (n,) int64.
        added: From `pairs`, (2, n).
        shape: Clients and leaves.
    """
    place = client * shape[1] + leaf
    sums = [np.bincount(place, each, shape[0] * shape[1]) for each in added]
    stacked: Floats = np.stack(sums, axis=-1).astype(float)
    return stacked.reshape(*shape, 2)


def released(sums: Floats, schedule: Schedule) -> Floats:
    """The sums as they leave their clients, each with noise of its own under a plan."""
    return sums + noise.gaussian(sums.shape, deviation(schedule))


def deviation(schedule: Schedule) -> float:
    """Standard deviation of the noise on every sum of every client; 0 without privacy."""
    if not isinstance(schedule, PrivacyPlan):
        return 0.0
    return schedule.noise_multiplier * schedule.clip_norm


def newton(sums: Floats, clients: int, ridge: float, schedule: Schedule) -> Floats:
    """The value of each leaf, from what all clients released of it: −G / (H + λ·(1 + V / H)).

    Without noise that is Newton's step with a ridge λ. Under noise it is the mean of the value
    given G, when values spread with variance 1 / λ and G with H + V around what they say, V being
    the variance of all clients' noise: a leaf that noise drowns says next to nothing. A curvature
    below its own noise's deviation counts as that.

    Args:
        sums: Gradients and scaled curvatures, (…, 2), added up over clients.
        clients: How many added their noise.
        ridge: λ.
        schedule: Whose noise it is.
    """
    spread = deviation(schedule) * clients**0.5
    gradient, curvature = sums[..., 0], sums[..., 1] / CURVATURE
    known = np.maximum(curvature, max(spread / CURVATURE, 1e-12))
    return np.asarray(-gradient / (known + ridge * (1.0 + spread**2 / known)))
