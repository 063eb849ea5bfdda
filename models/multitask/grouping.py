"""Which outcomes should share, by how their gradients agree on what they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def proposed(cosines: np.ndarray, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of outcomes whose gradients agree, (one group: all of them do).

    Groups are joined, the two that agree most first, while the mean cosine between their outcomes
    is above 0 (average linkage; gradients that agree as a sign of outcomes that help each other:
    Fifty et al., NeurIPS 2021, arXiv:2109.04617).

    Args:
        cosines: Between the outcomes' gradients, (m, m), a mean over training; NaN between outcomes
            that share nothing, of which nothing is proposed.
        names: Of the outcomes, in that order.

    >>> proposed(np.array([[1, 0.4, -0.2], [0.4, 1, -0.1], [-0.2, -0.1, 1]]), ["a", "b", "c"])
    (('a', 'b'), ('c',))
    """
    if np.isnan(cosines).any():
        return (tuple(names),)
    groups = [[place] for place in range(len(names))]
    while len(groups) > 1:
        pairs = [(a, b) for a in range(len(groups)) for b in range(a)]
        agreed = [float(cosines[np.ix_(groups[a], groups[b])].mean()) for a, b in pairs]
        best = int(np.argmax(agreed))
        if agreed[best] <= 0:
            break
        a, b = pairs[best]
        groups[b] = sorted(groups[b] + groups.pop(a))
    return tuple(tuple(names[place] for place in group) for group in sorted(groups))


def conflicts(cosines: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, float]]:
    """Pairs of outcomes whose gradients oppose each other, the worst first."""
    found = [
        (names[a], names[b], float(cosines[a, b]))
        for a in range(len(names))
        for b in range(a + 1, len(names))
        if cosines[a, b] < 0
    ]
    return sorted(found, key=lambda pair: pair[2])
