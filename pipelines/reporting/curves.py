"""The numbers behind ROC, precision–recall and reliability curves, for two classes or more."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from domains.metrics import auroc, average_precision

Array = NDArray[Any]
View = tuple[Array, Array]
"""(positive (n,) bool, score (n,)) of one class against the rest."""

_AXIS = np.linspace(0, 1, 201)


def one_against_rest(y: Array, p: Array) -> list[View]:
    """`p` (n,): the one view of class 1; `p` (n, k): a view a class that occurs in `y`."""
    if p.ndim == 1:
        return [(y > 0, p)]
    return [(y == k, p[:, k]) for k in range(p.shape[1]) if 0 < np.mean(y == k) < 1]


def roc(view: View) -> tuple[Array, Array]:
    """(false positive rate, true positive rate), rising."""
    false, true, _ = roc_curve(*view)
    return false, true


def pr(view: View) -> tuple[Array, Array]:
    """(recall, precision), recall rising from the first yes on: before it there is no precision."""
    precision, recall, _ = precision_recall_curve(*view)
    some = recall > 0
    return recall[some][::-1], precision[some][::-1]


def mean_curve(
    views: list[View], curve: Callable[[View], tuple[Array, Array]]
) -> tuple[Array, Array]:
    """The curve of one view as it is, the average on a common axis of several."""
    if len(views) == 1:
        return curve(views[0])
    return _AXIS, np.mean([np.interp(_AXIS, *curve(view)) for view in views], axis=0)


def areas(views: list[View]) -> tuple[float, float, float]:
    """(AUROC, average precision, share of positives), each averaged over the views."""
    triples = [(auroc(*v), average_precision(*v), float(np.mean(v[0]))) for v in views]
    area, precision, share = np.mean(triples, axis=0)
    return float(area), float(precision), float(share)


def confidence(y: Array, p: Array) -> View:
    """What a reliability curve compares: (happened, probability).

    Two classes: class 1 and its probability. More: the most probable class, and whether it was
    right.
    """
    if p.ndim == 1:
        return y > 0, p
    return p.argmax(axis=1) == y, p.max(axis=1)


def bins(view: View, count: int) -> tuple[Array, Array, Array, Array]:
    """(mean probability, rate, low, high) in bins of equal count; 95 % Wilson intervals."""
    hit, p = view
    edges = np.unique(np.quantile(p, np.linspace(0, 1, count + 1)))
    which = np.searchsorted(edges[1:-1], p, side="right")
    n = np.bincount(which)
    kept = n > 0
    n = n[kept]
    mean = np.bincount(which, p)[kept] / n
    rate = np.bincount(which, hit)[kept] / n
    return mean, rate, *_wilson(rate, n)


def _wilson(rate: Array, n: Array, z: float = 1.96) -> tuple[Array, Array]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # the bounds of a rate of 0 or 1 meet it but for rounding
    return np.minimum(centre - half, rate), np.maximum(centre + half, rate)
