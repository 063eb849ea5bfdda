"""How good predictions of mixed kinds are, and how sure one can be, by patient.

All numbers of a comparison come from the same resamples of patients, so that the difference of
two models is paired and the mean over outcomes has an interval of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from domains.flawless import of_area, of_share, unbounded
from domains.healthcare.outcomes.codec import Codec
from domains.healthcare.outcomes.targets import Targets, known
from domains.metrics import Interval, gap, interval, prepared, resamples
from domains.survival import IntegratedBrier

MEAN = "mean"
Score = Callable[[np.ndarray | None], float]
"""Weights of all records (n,), or None for equal ones → one number."""


def scores(
    codecs: Mapping[str, Codec],
    targets: Targets,
    predicted: pd.DataFrame,
    curves: Mapping[str, np.ndarray] | None = None,
) -> dict[str, Score]:
    """Every metric of one model on some records.

    Keys are `OUTCOME.METRIC` by kind (`domains.healthcare.outcomes.spec.METRIC_OF`), and further
    `OUTCOME.ece` where probabilities are answered, `OUTCOME.average_precision` of yes or no,
    `OUTCOME.ibs` of survival (`domains.survival.IntegratedBrier`), and `OUTCOME.coverage` where
    there are bounds. An outcome is judged on the records that have its label, amounts on the scale
    they were learned on.

    Args:
        codecs: By outcome.
        targets: Of the records.
        predicted: Columns as `Codec.decode` makes them, and bounds `OUTCOME.low`, `OUTCOME.high`.
        curves: Survival outcome → what `Codec.event_free` gave, (n, times).
    """
    found: dict[str, Score] = {}
    for name, codec in codecs.items():
        y, p = judged(codec, targets.values[name], predicted)
        rows = known(y)
        if not rows.any():
            continue
        of = _of_kind(codec, y[rows], p[rows])
        if curves and name in curves:
            of["ibs"] = IntegratedBrier(y[rows], curves[name][rows], codec.grid)
        if codec.outcome.kind in ("regression", "count") and f"{name}.low" in predicted:
            natural = targets.values[name].astype(float)[rows]
            hit = within(natural, predicted[rows], name)
            of["coverage"] = _mean_of(hit)
        places = np.flatnonzero(rows)  # to take so many weights by place is quicker than by mask
        said = y[rows], p[rows]
        for key, score in of.items():
            judged_by = (hit, hit) if key == "coverage" else said
            found[f"{name}.{key}"] = _Labelled(score, key, places, *judged_by)
    return found


@dataclass(frozen=True)
class _Labelled:
    """A metric of the records that have an outcome's label.

    Attributes:
        metric: Of those records.
        key: Its name.
        places: Where they are among all records.
        y: Their targets; of coverage, whether their values lie within their bounds.
        p: Their predictions.
    """

    metric: Score
    key: str
    places: np.ndarray
    y: np.ndarray
    p: np.ndarray

    def __call__(self, weight: np.ndarray | None) -> float:
        if weight is None:
            return self.metric(None)
        own = weight[self.places]
        return self.metric(own) if own.any() else float("nan")  # no label was drawn

    def slack(self, patients: np.ndarray) -> float:
        """See `domains.metrics.interval`; patients are of all records."""
        of = patients[self.places]
        if self.key == "coverage":
            return of_share(self.y, of)
        return of_area(self.y, self.p, of) if self.key == "auroc" else unbounded(self(None))


def slack_of(score: Score, patients: np.ndarray) -> float:
    """What flawless answers leave open of a metric that `scores` gave, see `domains.flawless`.

    Args:
        score: The metric.
        patients: Patient of each record that it was made for, (n,).
    """
    return score.slack(patients) if isinstance(score, _Labelled) else 0.0


def within(values: np.ndarray, predicted: pd.DataFrame, name: str) -> np.ndarray:
    """Whether values (n,) lie between an outcome's bounds, (n,) bool."""
    low, high = (predicted[f"{name}.{end}"].to_numpy(dtype=float) for end in ("low", "high"))
    return np.asarray((low <= values) & (values <= high))


def _of_kind(codec: Codec, y: np.ndarray, p: np.ndarray) -> dict[str, Score]:
    """Metrics of one outcome's labelled records."""
    metric = codec.outcome.metric
    names = [metric, "ece"] if metric == "auroc" else [metric]
    names += ["average_precision"] if codec.outcome.kind == "binary" else []
    return {name: prepared(name, y, p) for name in names}


def _mean_of(values: np.ndarray) -> Score:
    return lambda weight: float(np.average(values, weights=weight))


def judged(
    codec: Codec, values: np.ndarray, predicted: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Target and prediction of one outcome as `domains.metrics` takes them, NaN where unknown."""
    p = predicted[list(codec.columns)].to_numpy(dtype=float)
    kind = codec.outcome.kind
    if kind == "multiclass":
        return codec.encode(values), p
    if kind == "ordinal":
        return codec.places(values), p[:, 0]
    y = values.astype(float)
    if kind == "regression":
        return codec.transform(y), codec.transform(p[:, 0])
    return y, p[:, 0]


@dataclass(frozen=True)
class Comparison:
    """Metrics of several models on the same records and the same resamples.

    Attributes:
        values: Model → metric → value.
        draws: Model → metric → values on the resamples, (repeats,).
        slack: Model → metric → what flawless answers leave open, see `domains.metrics.interval`.
    """

    values: dict[str, dict[str, float]]
    draws: dict[str, dict[str, np.ndarray]]
    slack: dict[str, dict[str, float]] = field(default_factory=dict)

    def interval(self, model: str, key: str) -> Interval:
        """A metric with its 95 % interval."""
        of = self.slack.get(model, {})
        slack = float(np.mean([of.get(each, 0.0) for each in self._behind(model, key)]))
        return interval(self.values[model][key], self.draws[model][key], slack)

    def difference(self, new: str, old: str, key: str) -> Interval:
        """Paired difference `new − old` of a metric, with its 95 % interval.

        Two models without a flaw may be told apart by further records, by what their answers leave
        open; one model cannot be told from itself.
        """
        gaps = self.draws[new][key] - self.draws[old][key]
        behind = self._behind(new, key)
        slack = float(np.mean([self._slack_between(new, old, each) for each in behind]))
        return gap(self.values[new][key] - self.values[old][key], gaps, slack)

    def _behind(self, model: str, key: str) -> list[str]:
        """The metrics that one is made of."""
        return ranked(self.values[model]) if key == MEAN else [key]

    def _slack_between(self, new: str, old: str, key: str) -> float:
        one, other = (self.slack.get(model, {}).get(key, 0.0) for model in (new, old))
        same = self.draws[new].get(key) is self.draws[old].get(key)
        return 0.0 if same or other == 0 else one

    def keys(self, model: str) -> list[str]:
        """The metrics of a model; `mean` leads."""
        return sorted(self.values[model], key=lambda key: key != MEAN)

    def completed(self, model: str, like: str) -> Comparison:
        """The same, where the metrics that `model` lacks are those of `like`; `mean` follows."""
        values = {**self.values[like], **self.values.get(model, {})}
        draws = {**self.draws[like], **self.draws.get(model, {})}
        values, draws = _with_mean(values, draws)
        both = {**self.values, model: values}, {**self.draws, model: draws}
        slack = {**self.slack.get(like, {}), **self.slack.get(model, {})}
        return Comparison(*both, {**self.slack, model: slack})


def compare(
    models: Mapping[str, Mapping[str, Score]], patients: np.ndarray, repeats: int, seed: int
) -> Comparison:
    """Score models on records, and again on resamples of whole patients.

    `mean` is the mean over the outcomes that are ranked (AUROC, concordance and ordering, which
    share a scale), or over R² and D² where no outcome is ranked. A metric that these records cannot
    give (a class is absent) is left out.

    Args:
        models: Name → what `scores` gave.
        patients: Patient of each record, (n,).
        repeats: Resamples.
        seed: Of the resampling alone.
    """
    values = {name: {k: score(None) for k, score in of.items()} for name, of in models.items()}
    usable = {
        name: {k: s for k, s in of.items() if np.isfinite(values[name][k])}
        for name, of in models.items()
    }
    drawn: dict[str, dict[str, list[float]]] = {
        name: {key: [] for key in of} for name, of in usable.items()
    }
    for weight in resamples(len(patients), patients, repeats, seed):
        for name, metrics in usable.items():
            for key, score in metrics.items():
                drawn[name][key].append(score(weight))
    kept = {name: {k: values[name][k] for k in of} for name, of in usable.items()}
    draws = {name: {k: np.array(v) for k, v in of.items()} for name, of in drawn.items()}
    both = {name: _with_mean(kept[name], draws[name]) for name in models}
    slack = {name: {k: slack_of(s, patients) for k, s in of.items()} for name, of in usable.items()}
    return Comparison(
        {name: of for name, (of, _) in both.items()},
        {name: of for name, (_, of) in both.items()},
        slack,
    )


def _with_mean(
    values: dict[str, float], draws: dict[str, np.ndarray]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    keys = ranked(values)
    if not keys:
        return values, draws
    mean = float(np.mean([values[key] for key in keys]))
    spread = np.mean([draws[key] for key in keys], axis=0)
    return {**values, MEAN: mean}, {**draws, MEAN: spread}


def ranked(metrics: Mapping[str, float]) -> list[str]:
    """The metrics that `mean` is over."""
    of = [key for key in metrics if key.endswith((".auroc", ".cindex", ".ordering"))]
    return of or [key for key in metrics if key.endswith((".r2", ".d2"))]
