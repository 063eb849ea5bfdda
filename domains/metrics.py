"""Metrics, and how sure they are.

Every metric takes `(y, p, weight=None)` and returns one number. Weights make the bootstrap cheap:
a resample of patients is a vector of counts, not a copy of the records. Shapes:

* binary: `y` (n,) of 0 and 1, `p` (n,) probability of 1;
* multiclass: `y` (n,) of class numbers, `p` (n, k) probabilities; AUROC is the macro average of
  one class against the rest;
* regression: `y` (n,), `p` (n,);
* ordinal: `y` (n,) of level numbers, `p` (n,), larger is higher;
* count: `y` (n,), `p` (n,) above 0;
* survival: `y` (n, 2) of time and event, `p` (n,) risk, larger is sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import xlogy

from domains.concordance import Concordance, in_order
from domains.ranked import Areas, Calibration, Precision

Metric = Callable[..., float]
"""`(y, p, weight=None) -> float`."""
Prepared = Callable[[np.ndarray | None], float]
"""Weights of the records (n,), or None for equal ones → one number."""

_ROUNDING = 1e-9
LOWER_IS_BETTER = frozenset({"ece", "brier", "ibs", "rmse", "mae"})
"""Names of the metrics of which less is better; of all others, more is."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, in the metric's own unit."""

    value: float
    low: float
    high: float


def _weights(y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    return np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)


def auroc(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Area under the ROC curve, ties counted half; NaN when only one class carries weight.

    Several classes: the mean over those that carry weight, each against the rest.
    """
    return Areas(y, p)(weight)


def average_precision(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Area under the precision–recall curve as average precision (binary)."""
    return Precision(y, p)(weight)


def accuracy(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of records whose most probable class is theirs."""
    p = np.asarray(p)
    guess = p.argmax(axis=1) if p.ndim == 2 else (p >= 0.5).astype(int)
    return float(np.average(guess == np.asarray(y), weights=_weights(y, weight)))


def ece(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins (Guo et al., 2017, arXiv:1706.04599).

    Binary: |observed rate − mean probability|. Multiclass: |accuracy − confidence| of the most
    probable class.
    """
    return Calibration(y, p, bins)(weight)


def brier(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean squared distance of the probability from what happened (binary)."""
    return float(np.average((np.asarray(y) - np.asarray(p)) ** 2, weights=_weights(y, weight)))


def ks(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Kolmogorov–Smirnov distance between the scores of the two classes."""
    y, p = np.asarray(y) > 0, np.asarray(p, dtype=float)
    w = _weights(y, weight)
    order = np.argsort(p, kind="stable")
    good, bad = np.where(y, 0.0, w)[order], np.where(y, w, 0.0)[order]
    if good.sum() == 0 or bad.sum() == 0:
        return float("nan")
    gap = np.cumsum(good) / good.sum() - np.cumsum(bad) / bad.sum()
    last = np.r_[p[order][1:] != p[order][:-1], True]
    return float(np.abs(gap[last]).max())


def gini(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Gini coefficient of a score, 2·AUROC − 1."""
    return 2.0 * auroc(y, p, weight) - 1.0


def r2(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Coefficient of determination; NaN when the target does not vary."""
    y, p = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    w = _weights(y, weight)
    spread = np.sum(w * (y - np.average(y, weights=w)) ** 2)
    return float(1.0 - np.sum(w * (y - p) ** 2) / spread) if spread > 0 else float("nan")


def d2(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of the Poisson deviance of the mean that predictions of counts explain; NaN if none."""
    w = _weights(y, weight)
    mean = np.average(y, weights=w)
    none = _deviance(y, np.full(len(y), mean), w) if mean > 0 else 0.0
    return 1.0 - _deviance(y, p, w) / none if none > 0 else float("nan")


def _deviance(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    p = np.maximum(np.asarray(p, dtype=float), 1e-12)
    return float((w * (xlogy(y, y) - xlogy(y, p) - y + p)).sum())


def ordering(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Of pairs of different levels, the share in order; see `domains.concordance.in_order`."""
    return in_order(y, p)(weight)


def cindex(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Harrell's concordance (1982): of comparable pairs, the share ordered as the risk says.

    A pair is comparable when the earlier time is an event. Ties of risk count half.
    """
    return Concordance(y, p)(weight)


def bootstrap(
    metric: Metric,
    y: np.ndarray,
    p: np.ndarray,
    groups: np.ndarray | None = None,
    repeats: int = 500,
    seed: int = 0,
    slack: float = 0.0,
) -> Interval:
    """95 % interval of a metric, resampling whole groups (patients, borrowers).

    Args:
        metric: One of this module's metrics.
        y: Targets, (n,) or (n, 2).
        p: Predictions, (n,) or (n, k).
        groups: Group of each record, (n,); None: each record is a group of its own.
        repeats: Number of resamples.
        seed: Of the resampling alone.
        slack: See `interval`.
    """
    draws = [metric(y, p, w) for w in resamples(len(y), groups, repeats, seed)]
    return interval(metric(y, p), draws, slack)


def paired_bootstrap(
    metric: Metric,
    y: np.ndarray,
    p_new: np.ndarray,
    p_old: np.ndarray,
    groups: np.ndarray | None = None,
    repeats: int = 500,
    seed: int = 0,
    slack: float = 0.0,
) -> Interval:
    """95 % interval of `metric(new) − metric(old)`, both on the same resamples.

    See `bootstrap` for the arguments, and `gap` for `slack`.
    """
    draws = [
        metric(y, p_new, w) - metric(y, p_old, w) for w in resamples(len(y), groups, repeats, seed)
    ]
    return gap(metric(y, p_new) - metric(y, p_old), draws, slack)


def interval(value: float, draws: list[float] | np.ndarray, slack: float | None = None) -> Interval:
    """95 % bootstrap interval around a value: percentiles of the draws, less the draws' bias.

    A calibration error or a Kolmogorov–Smirnov distance grows with noise, and a resample adds
    some: its plain percentiles can lie wholly above the value. The bootstrap's own estimate of
    that bias, mean(draws) − value, is taken off (Efron and Tibshirani, 1993, chapter 10); for
    metrics without it nothing moves. NaN when no draw is finite.

    Args:
        value: Of the sample itself.
        draws: Of its resamples.
        slack: How far the truth may lie from a flawless value, 1 or 0
            (`domains.flawless`), or how far the flawless parts of a mean may move it. With it, a
            value that is not flawless, and on which all resamples agree, has no interval; nor has
            one whose slack is NaN. None: the agreement of resamples is the interval.
    """
    finite = np.asarray(draws)[np.isfinite(draws)]
    if not len(finite) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    if np.isnan(slack or 0.0) or (slack == 0.0 and alike(finite)):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(finite, [2.5, 97.5]) - (finite.mean() - value)
    if value >= 0.5:
        low -= slack or 0.0
    else:
        high += slack or 0.0
    # What is never negative has no interval below zero, and what never passes one none above.
    low = max(low, 0.0) if finite.min() >= 0 else low
    high = min(high, 1.0) if finite.max() <= 1 else high
    return Interval(value, float(low), float(high))


def gap(value: float, draws: list[float] | np.ndarray, slack: float = 0.0) -> Interval:
    """The same of a difference, which has no end at zero or one.

    Args:
        value: Of the sample itself.
        draws: Of its resamples.
        slack: How far further records may move it, either way, that no resample shows
            (`domains.flawless.of_gap`).
    """
    finite = np.asarray(draws)[np.isfinite(draws)]
    if not len(finite) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.percentile(finite, [2.5, 97.5]) - (finite.mean() - value)
    return Interval(value, float(low) - slack, float(high) + slack)


def alike(draws: np.ndarray) -> bool:
    """Whether all resamples say the same, but for rounding."""
    return float(np.ptp(draws)) <= _ROUNDING


def resamples(
    size: int, groups: np.ndarray | None, repeats: int, seed: int
) -> Iterator[np.ndarray]:
    """Weights (n,) of each resample: how often each record's group was drawn.

    Groups are numbered as they first occur: the same records under other names of their groups,
    as hashes say, are resampled alike.
    """
    rng = np.random.default_rng(seed)
    codes = np.arange(size) if groups is None else _numbered(groups)
    count = int(codes.max()) + 1 if size else 0
    for _ in range(repeats):
        yield np.bincount(rng.integers(count, size=count), minlength=count)[codes].astype(float)


def _numbered(groups: np.ndarray) -> np.ndarray:
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[codes])


def named(name: str, interval: Interval) -> dict[str, float]:
    """`NAME`, `NAME_low` and `NAME_high`, as metrics are reported everywhere; without the bounds
    where there is no interval."""
    found = {name: interval.value}
    if np.isfinite(interval.low) and np.isfinite(interval.high):
        found |= {f"{name}_low": interval.low, f"{name}_high": interval.high}
    return found


METRICS: dict[str, Metric] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "accuracy": accuracy,
    "ece": ece,
    "brier": brier,
    "ks": ks,
    "gini": gini,
    "r2": r2,
    "d2": d2,
    "ordering": ordering,
    "cindex": cindex,
}
"""Metrics by the names used in reports and in the gate's rules."""

_SORTED: dict[str, Callable[[np.ndarray, np.ndarray], Prepared]] = {
    "auroc": Areas,
    "average_precision": Precision,
    "cindex": Concordance,
    "ordering": in_order,
    "ece": Calibration,
}


def prepared(name: str, y: np.ndarray, p: np.ndarray) -> Prepared:
    """One of `METRICS` on fixed records, for many weightings: sorted or binned once."""
    return _SORTED[name](y, p) if name in _SORTED else partial(METRICS[name], y, p)
