"""What the training records fix about one outcome: classes, scale, time intervals.

A codec turns targets into what a network learns from and a network's answers into what people
read. It is fitted on training records alone and saved with the model.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from domains.healthcare.outcomes.spec import Outcome, class_name
from domains.healthcare.outcomes.targets import known

_INTERVALS = 16
_OUTER, _FEWEST = 0.01, 5  # of private times: at least so many events lie beyond the last cut


@dataclass(frozen=True)
class Codec:
    """One outcome, ready to learn.

    Attributes:
        outcome: The declaration.
        classes: Multiclass: class names in the order of the logits; ordinal: from the lowest.
        center: Regression: mean of the transformed target; count: logarithm of the mean.
        scale: Regression: its standard deviation.
        cuts: Survival: ends of the time intervals, ascending; horizons are among them.
        horizons: Survival: times to answer at.
    """

    outcome: Outcome
    classes: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    cuts: tuple[float, ...] = ()
    horizons: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """Number of outputs a head needs."""
        sizes = {
            "multiclass": len(self.classes),
            "ordinal": len(self.classes) - 1,
            "survival": len(self.cuts),
        }
        return sizes.get(self.outcome.kind, 1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the predicted columns."""
        name = self.outcome.name
        if self.outcome.kind == "multiclass":
            return tuple(f"{name}.{label}" for label in self.classes)
        if self.outcome.kind == "ordinal":
            return (f"{name}.expected", *(f"{name}.{label}" for label in self.classes))
        if self.outcome.kind == "survival":
            return (f"{name}.risk", *(f"{name}.at_{horizon:g}" for horizon in self.horizons))
        return (name,)

    @property
    def grid(self) -> np.ndarray:
        """Survival: the ends of intervals up to the last horizon, (times,)."""
        return np.array([cut for cut in self.cuts if cut <= max(self.horizons)])

    def event_free(self, hazards: np.ndarray) -> np.ndarray:
        """Survival: hazards (n, intervals) → probability of no event by `grid`, (n, times)."""
        return np.asarray(np.cumprod(1.0 - hazards, axis=1)[:, : len(self.grid)])

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Targets → (n,) float64, or (n, 2) for survival and ordinal; NaN where unknown.

        Binary 0 or 1; multiclass the number of the class (a class that training never saw is
        unknown); count over its mean; regression standardised; survival the number of whole
        intervals survived and whether the event fell into the next one; ordinal the number of
        levels passed and whether it stopped there, which the highest does not.
        """
        if self.outcome.kind == "multiclass":
            return self.places(values)
        if self.outcome.kind == "ordinal":
            passed = self.places(values)
            stopped = np.where(np.isnan(passed), np.nan, passed < self.size)
            return np.column_stack([passed, stopped])
        if self.outcome.kind == "regression":
            return (self.transform(values.astype(float)) - self.center) / self.scale
        if self.outcome.kind == "count":
            return values.astype(float) / np.exp(self.center)
        if self.outcome.kind == "survival":
            return self._intervals(values.astype(float))
        return values.astype(float)

    def places(self, values: np.ndarray) -> np.ndarray:
        """Class names → their numbers, (n,) float64, NaN where unknown."""
        place = {label: float(k) for k, label in enumerate(self.classes)}
        return np.array([place.get(value, np.nan) for value in values], dtype=float)

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Natural scale → the scale the outcome is learned and judged on."""
        return np.log1p(values) if self.outcome.transform == "log1p" else values

    def decode(self, answer: np.ndarray) -> np.ndarray:
        """A model's answer → predicted columns, (n, len(columns)) in natural units.

        Args:
            answer: Binary (n,) probability; multiclass (n, k) probabilities; regression (n,) on
                the standardised scale; count (n,) logarithms; survival (n, intervals) hazards, each
                the probability of the event within an interval given that it was reached; ordinal
                (n, levels − 1) of stopping at a level that was reached.

        The back-transformed regression is the typical (median-like) value, not the mean, when the
        target was learned on a log scale. `NAME.at_H` is the probability of being event-free at H;
        `NAME.risk` is the share of the follow-up that is expected to be lost, in [0, 1];
        `NAME.expected` the mean number of the level, from 0.
        """
        if self.outcome.kind == "ordinal":
            return self._levels(answer)
        if self.outcome.kind == "count":
            return np.exp(answer + self.center)[:, None]
        if self.outcome.kind == "survival":
            return self._curve(answer)
        if self.outcome.kind == "regression":
            value = answer * self.scale + self.center
            return (np.expm1(value) if self.outcome.transform == "log1p" else value)[:, None]
        return answer if answer.ndim == 2 else answer[:, None]

    def _intervals(self, values: np.ndarray) -> np.ndarray:
        time, event = values.T
        edges = np.array([0.0, *self.cuts])
        survived = np.searchsorted(self.cuts, time, side="left").astype(float)
        cell = np.minimum(survived.astype(int), len(self.cuts) - 1)
        # Censored past the middle of an interval counts as having survived it.
        late = (time >= (edges[cell] + edges[cell + 1]) / 2) & (event == 0)
        survived = np.where(late & (survived < len(self.cuts)), survived + 1, survived)
        happened = (event == 1) & (survived < len(self.cuts))
        out = np.column_stack([survived, happened.astype(float)])
        out[np.isnan(values).any(axis=1)] = np.nan
        return out

    def _levels(self, stops: np.ndarray) -> np.ndarray:
        """The continuation-ratio model (Fienberg, 1980): a level is reached past all below it."""
        passed = np.cumprod(1.0 - stops, axis=1)
        reached = np.column_stack([np.ones(len(stops)), passed])
        share = reached * np.column_stack([stops, np.ones(len(stops))])
        return np.column_stack([share @ np.arange(share.shape[1]), share])

    def _curve(self, hazards: np.ndarray) -> np.ndarray:
        survival = np.cumprod(1.0 - hazards, axis=1)
        widths = np.diff([0.0, *self.cuts])
        reached = np.column_stack([np.ones(len(survival)), survival])
        lived = (reached[:, :-1] + reached[:, 1:]) / 2 @ widths / self.cuts[-1]
        places = [self.cuts.index(horizon) for horizon in self.horizons]
        return np.column_stack([1.0 - lived, survival[:, places]])

    def to_json(self) -> dict[str, Any]:
        """JSON values; `from_json` is the inverse."""
        values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        return {**values, "outcome": self.outcome.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Codec:
        """Inverse of `to_json`."""
        made: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**{**made, "outcome": Outcome.from_json(values["outcome"])})


def fit_codec(outcome: Outcome, values: np.ndarray, public: bool = True) -> Codec:
    """Fix an outcome's classes, scale or intervals from the training records' targets.

    Private survival times are rounded, and the last ones no longer tell intervals apart.
    """
    labelled = values[known(values)]
    if outcome.kind == "multiclass":
        return Codec(outcome, classes=tuple(sorted(set(labelled), key=_order)))
    if outcome.kind == "ordinal":
        declared = tuple(class_name(level) for level in outcome.levels)
        return Codec(outcome, classes=declared or tuple(sorted(set(labelled), key=float)))
    if outcome.kind == "count":
        mean = max(float(labelled.astype(float).mean()), 0.5 / len(labelled))
        return Codec(outcome, center=float(np.log(mean)))
    if outcome.kind == "regression":
        scaled = Codec(outcome).transform(labelled.astype(float))
        return Codec(outcome, center=float(scaled.mean()), scale=float(scaled.std()) or 1.0)
    if outcome.kind == "survival":
        return _fit_intervals(outcome, labelled.astype(float), public)
    return Codec(outcome)


def _order(label: str) -> tuple[int, float, str]:
    """Numbers by size, before words by alphabet."""
    number = label.lstrip("-").replace(".", "", 1).isdigit()
    return (0, float(label), "") if number else (1, 0.0, label)


def _fit_intervals(outcome: Outcome, labelled: np.ndarray, public: bool) -> Codec:
    """Intervals with about equal numbers of events, cut at the horizons too."""
    time, event = labelled.T
    events = time[event == 1]
    horizons = outcome.horizons or tuple(
        sorted({_round(q) for q in np.quantile(events, [0.25, 0.5, 0.75])})
    )
    last = 1.0 if public else max(1.0 - max(_OUTER, _FEWEST / len(events)), 0.5)
    ends = {float(q) for q in np.quantile(events, last * np.linspace(0, 1, _INTERVALS + 1)[1:])}
    if not public:
        ends = {end for end in map(_round, ends) if end > 0}
    cuts = tuple(sorted(ends | {float(h) for h in horizons}))
    return Codec(outcome, cuts=cuts, horizons=tuple(float(h) for h in horizons))


def _round(value: float) -> float:
    """Three significant digits: a horizon that a person can say."""
    return float(f"{value:.3g}")
