"""How sure flawless answers are.

A model that is right on every test record is right on every resample of them too, and percentiles
then claim certainty, 1.000 (1.000 to 1.000), of eight records as of eight million. What such a
result leaves open is a question of how often something may happen that did not happen in n
independent trials: at most 1 − 0.025^(1/n) of the time, with 97.5 % confidence (Clopper and
Pearson, 1934, doi:10.1093/biomet/26.4.404). That is the bound of a two-sided 95 % interval whose
other end is reached.

* A share (accuracy, sensitivity): a trial is a group (patient, borrower) with such a record.
* An AUROC is how probably a positive ranks above a negative. Pairs that share no group are
  independent trials of it. The other pairs add something, but are not independent: the bound is
  exact for the disjoint ones and on the safe side for all.
* A KS distance follows: the ROC curve goes through a point that lies that far above the diagonal
  and no further, so that AUROC ≤ 1 − (1 − KS)² / 2.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

_TAIL = 0.025
UNKNOWN = float("nan")
"""Slack of a metric of which no bound is known: it has no interval where resamples agree."""


def slack(trials: int) -> float:
    """What may lie between a flawless result of so many independent trials and the truth.

    >>> round(slack(1), 3), round(slack(10), 3), round(slack(1000), 4)
    (0.975, 0.308, 0.0037)
    """
    return 1.0 - _TAIL ** (1.0 / trials) if trials > 0 else 1.0


def slack_of(name: str, y: np.ndarray, groups: np.ndarray | None = None) -> float:
    """The same of a metric by name, where it is all right or all wrong; NaN: no bound is known.

    Args:
        name: As in `domains.metrics.METRICS`; or `share`, or one that begins with
            `sensitivity` or `specificity`.
        y: 0 and 1 or class numbers, (n,); or labels of 0 and 1, (n, l), whose mean is meant.
        groups: Of the records, (n,); None: each is a group of its own.
    """
    y = np.asarray(y)
    of = np.arange(len(y)) if groups is None else np.asarray(groups)
    if name in ("accuracy", "share"):
        return slack(len(np.unique(of)))
    if name.startswith(("sensitivity", "specificity")):
        return slack(len(np.unique(of[(y > 0) == name.startswith("sensitivity")])))
    if name == "gini":
        return 2 * slack_of("auroc", y, of)
    if name == "ks":
        return float(min(np.sqrt(2 * slack_of("auroc", y, of)), 1.0))
    return _of_pairs(y, of) if name == "auroc" else UNKNOWN


def _of_pairs(y: np.ndarray, groups: np.ndarray) -> float:
    """Mean over labels, or over the classes that occur, each against the rest."""
    if y.ndim == 2:
        sides = list(y.T > 0)
    else:
        numbers = np.unique(y)
        sides = [y == k for k in (numbers[1:] if len(numbers) == 2 else numbers)]
    each = [slack(disjoint_pairs(side, groups)) for side in sides if 0 < side.sum() < len(side)]
    return float(np.mean(each)) if each else UNKNOWN


def same_order(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two models rank all records alike, so that no further record could tell them apart.

    Args:
        one: Scores, (n,) or (n, k).
        other: The same of the other model.
    """
    return one.shape == other.shape and np.array_equal(*(rankdata(p, axis=0) for p in (one, other)))


def disjoint_pairs(positive: np.ndarray, groups: np.ndarray) -> int:
    """How many pairs of a positive and a negative of another group share no group.

    >>> disjoint_pairs(np.array([True, True, False, False, False]), np.arange(5))
    2

    Args:
        positive: (n,) bool.
        groups: (n,).
    """
    having, lacking = np.unique(groups[positive]), np.unique(groups[~positive])
    whole = len(np.union1d(having, lacking))
    return min(len(having), len(lacking), whole // 2)
