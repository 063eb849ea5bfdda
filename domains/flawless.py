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
* A mean over classes, labels or outcomes has parts that are flawless and parts that are not; the
  former add what they leave open to an interval that the latter alone make wide.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from domains.ranked import Area

_TAIL = 0.025
UNKNOWN = float("nan")
"""Slack of a flawless metric of which no bound is known: it has no interval."""


def slack(trials: int) -> float:
    """What may lie between a flawless result of so many independent trials and the truth.

    >>> round(slack(1), 3), round(slack(10), 3), round(slack(1000), 4)
    (0.975, 0.308, 0.0037)
    """
    return 1.0 - _TAIL ** (1.0 / trials) if trials > 0 else 1.0


def of_share(hit: np.ndarray, groups: np.ndarray) -> float:
    """Slack of the share of records that are hit: 0 unless all or none of them are.

    Args:
        hit: (n,) bool.
        groups: Patient or borrower of each record, (n,).
    """
    return slack(len(np.unique(groups))) if hit.all() or not hit.any() else 0.0


def of_areas(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Slack of the AUROC of each class that occurs, or of each label; 0 of one with a flaw.

    Args:
        y: 0 and 1 or class numbers, (n,); or labels of 0 and 1, (n, l).
        p: Probabilities (n,) of 1, (n, k) of classes, or (n, l) of labels.
        groups: Of the records, (n,); None: each is a group of its own.
    """
    of = np.arange(len(y)) if groups is None else np.asarray(groups)
    sides = [(side, score) for side, score in _sides(y, p) if 0 < side.sum() < len(side)]
    return np.array([_of_side(side, score, of) for side, score in sides])


def of_area(y: np.ndarray, p: np.ndarray, groups: np.ndarray | None = None) -> float:
    """Slack of the AUROC, or of its mean over classes or labels; see `of_areas`."""
    each = of_areas(y, p, groups)
    return float(each.mean()) if len(each) else 0.0


def of_gap(
    y: np.ndarray, new: np.ndarray, old: np.ndarray, groups: np.ndarray | None = None
) -> float:
    """Slack of a difference of two AUROCs: of classes that both models rank without a flaw, and
    not in the same order, so that further records may tell them apart.
    """
    if same_order(new, old):
        return 0.0
    one, other = (of_areas(y, p, groups) for p in (new, old))
    return float(np.where(other > 0, one, 0.0).mean()) if len(one) else 0.0


def of_ks(area: float) -> float:
    """Slack of a KS distance, from that of the AUROC."""
    return float(min(np.sqrt(2 * area), 1.0))


def unbounded(value: float) -> float:
    """Slack of a metric without a known bound: unknown where it is flawless, else 0."""
    return UNKNOWN if abs(value - 1.0) < 1e-9 else 0.0


def _sides(y: np.ndarray, p: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    y, p = np.asarray(y), np.asarray(p, dtype=float)
    if p.ndim == 1:
        return [(y > 0, p)]
    of = y.T > 0 if y.ndim == 2 else np.arange(p.shape[1])[:, None] == y
    return list(zip(of, p.T, strict=True))


def _of_side(positive: np.ndarray, score: np.ndarray, groups: np.ndarray) -> float:
    found = Area(score)(positive, np.ones(len(score)))
    return slack(disjoint_pairs(positive, groups)) if min(found, 1 - found) < 1e-9 else 0.0


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
