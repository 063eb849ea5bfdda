"""What is measured of an arm on test images, and how sure each number is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domains.flawless import of_area, of_gap, of_share, unbounded
from domains.metrics import (
    Interval,
    Metric,
    accuracy,
    auroc,
    average_precision,
    bootstrap,
    ece,
    named,
    paired_bootstrap,
)


def sensitivity(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of positives whose probability is at least one half (binary)."""
    return _share(np.asarray(p) >= 0.5, np.asarray(y) > 0, weight)


def specificity(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Share of negatives whose probability is below one half (binary)."""
    return _share(np.asarray(p) < 0.5, np.asarray(y) == 0, weight)


def _share(hit: np.ndarray, among: np.ndarray, weight: np.ndarray | None) -> float:
    w = among.astype(float) if weight is None else np.where(among, weight, 0.0)
    return float(hit @ w / w.sum()) if w.sum() > 0 else float("nan")


@dataclass(frozen=True)
class Point:
    """A decision: probabilities above `threshold` are called the last class.

    Attributes:
        threshold: Of calibration records, so that test records have no say in it.
        aim: Specificity that it was set for.
        negatives: Calibration records of the first class, which set it.
    """

    threshold: float
    aim: float
    negatives: int

    def sensitivity(self, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
        """Share of positives that are called so."""
        return _share(np.asarray(p) > self.threshold, np.asarray(y) > 0, weight)

    def specificity(self, y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
        """Share of negatives that are not called positive."""
        return _share(np.asarray(p) <= self.threshold, np.asarray(y) == 0, weight)


def operating_point(y: np.ndarray, p: np.ndarray, aim: float) -> Point | None:
    """The lowest threshold below which a new negative record stays with the probability aimed at.

    That is the ⌈aim · (n + 1)⌉-th smallest of n calibration negatives, or the largest where they
    are too few for the aim; the plain quantile would fall short of it on new records.

    Args:
        y: 0 or 1, (n,).
        p: Probabilities of 1, (n,).
        aim: Specificity, between 0 and 1.

    Returns:
        None where there is no negative record.
    """
    negatives = np.sort(p[y == 0])
    if not len(negatives):
        return None
    place = min(int(np.ceil(aim * (len(negatives) + 1) - 1e-9)), len(negatives)) - 1
    return Point(float(negatives[max(place, 0)]), aim, len(negatives))


def macro(metric: Metric) -> Metric:
    """The mean of a binary metric over labels, of y and p (n, l); NaN of one label is left out."""

    def mean(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
        each = np.array([metric(y[:, j], p[:, j], weight) for j in range(y.shape[1])])
        found = each[np.isfinite(each)]
        return float(found.mean()) if len(found) else float("nan")

    return mean


def one_against_rest(metric: Metric) -> Metric:
    """The mean of a binary metric over classes, of y (n,) and p (n, k)."""
    mean = macro(metric)

    def over(y: np.ndarray, p: np.ndarray, weight: np.ndarray | None = None) -> float:
        return mean(np.eye(p.shape[1])[y], p, weight)

    return over


def labels_apart(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every label of every image as a record of its own; other targets as they are."""
    return (y.ravel(), p.ravel()) if y.ndim == 2 else (y, p)


def ranking(y: np.ndarray) -> Metric:
    """What arms are compared by: AUROC, its mean over classes, or over labels for y (n, l)."""
    return macro(auroc) if y.ndim == 2 else auroc


def metrics_of(y: np.ndarray, p: np.ndarray) -> dict[str, Metric]:
    """Metrics by name, for targets and probabilities of these shapes."""
    if y.ndim == 2:
        both = {"auroc": auroc, "accuracy": accuracy, "ece": ece}
        both["average_precision"] = average_precision
        return {name: macro(metric) for name, metric in both.items()}
    shared: dict[str, Metric] = {"auroc": auroc, "accuracy": accuracy, "ece": ece}
    if p.ndim == 2:
        return {**shared, "average_precision": one_against_rest(average_precision)}
    return {
        **shared,
        "average_precision": average_precision,
        "sensitivity": sensitivity,
        "specificity": specificity,
    }


@dataclass(frozen=True)
class Sure:
    """Intervals as they are made everywhere: by patient, so often, from this seed."""

    groups: np.ndarray
    repeats: int
    seed: int

    def of(self, metric: Metric, y: np.ndarray, p: np.ndarray, slack: float = 0.0) -> Interval:
        """95 % interval of a metric; for `slack` see `domains.metrics.interval`."""
        return bootstrap(metric, y, p, self.groups, self.repeats, self.seed, slack)

    def area(self, y: np.ndarray, p: np.ndarray) -> Interval:
        """AUROC, see `ranking`."""
        return self.of(ranking(y), y, p, of_area(y, p, self.groups))

    def difference(self, y: np.ndarray, new: np.ndarray, old: np.ndarray) -> Interval:
        """Paired difference of AUROC, new minus old."""
        slack = of_gap(y, new, old, self.groups)
        with_groups = (self.groups, self.repeats, self.seed)
        return paired_bootstrap(ranking(y), y, new, old, *with_groups, slack)

    def slack(self, name: str, y: np.ndarray, p: np.ndarray, threshold: float = 0.5) -> float:
        """What flawless answers leave open of a metric by its name, see `domains.flawless`."""
        if name == "accuracy":
            return self._of_guesses(y, p)
        if name.startswith(("sensitivity", "specificity")):
            among = (y > 0) == name.startswith("sensitivity")
            return of_share(p[among] > threshold, self.groups[among]) if among.any() else 0.0
        area = of_area(y, p, self.groups)
        if name == "average_precision":
            return unbounded(1.0) if area > 0 else 0.0
        return area if name == "auroc" else 0.0

    def _of_guesses(self, y: np.ndarray, p: np.ndarray) -> float:
        if y.ndim == 2:
            return float(np.mean([of_share(hit, self.groups) for hit in ((p >= 0.5) == y).T]))
        guess = p.argmax(axis=1) if p.ndim == 2 else (p >= 0.5).astype(int)
        return of_share(guess == y, self.groups)

    def measure(self, y: np.ndarray, p: np.ndarray) -> dict[str, float]:
        """All metrics of these shapes, with their bounds beside them."""
        found: dict[str, float] = {}
        for name, metric in metrics_of(y, p).items():
            found |= named(name, self.of(metric, y, p, self.slack(name, y, p)))
        return found

    def of_patients(self, values: np.ndarray) -> Interval:
        """The mean over patients of the mean of their values (n,), each patient counting once.

        Values of yes and no are bool: their mean is a share, and has a bound where all agree.
        """
        _, codes, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        each = 1.0 / sizes[codes]
        slack = of_share(values, self.groups) if values.dtype == bool else 0.0
        return self.of(_weighted(each), values.astype(float), values, slack)


def _weighted(each: np.ndarray) -> Callable[..., float]:
    def mean(y: np.ndarray, _: np.ndarray, weight: np.ndarray | None = None) -> float:
        w = each if weight is None else each * weight
        return float(y @ w / w.sum())

    return mean
