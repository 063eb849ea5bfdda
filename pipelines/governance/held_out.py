"""Held-out records and the one number by which two versions are compared on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from domains import durable
from domains.flawless import of_area, of_gap, unbounded
from domains.metrics import Interval, bootstrap, ece, paired_bootstrap, prepared

_META = b"careledger.outcomes"


@dataclass(frozen=True)
class HeldOutcome:
    """How one outcome is judged.

    Attributes:
        name: Of the outcome.
        metric: `auroc`, `cindex`, `ordering`, `r2` or `d2`.
        target: Keys of `HeldOut.target`: one, or time and event for `cindex`.
        predictions: Columns of the scorer's answer: one probability, value or risk, or one
            probability a class in class order.
        log1p: Compare on log(1 + x), the scale a skewed amount was learned on.
    """

    name: str
    metric: str
    target: tuple[str, ...]
    predictions: tuple[str, ...]
    log1p: bool = False


@dataclass(frozen=True)
class HeldOut:
    """Test records of one run: the gate compares versions on them.

    Attributes:
        inputs: Raw records as the scorer takes them, (n, …).
        target: Named target columns, each (n,); NaN where masked.
        groups: Patient or borrower of each record, (n,).
        ids: Id of each record, (n,), the same for the same record in every run.
        outcomes: How each outcome is judged.
        split: Names the split these records were held out by: runs with equal names hold out
            the same records.
        protected: Column → number of each record's group, (n,); −1: too small to be told of.
        approve_below: Probability up to which an outcome is decided for; None: nothing is decided.
        repeats: Resamples of an interval.
        seed: Of the resampling; with the report's own repeats and seed both tell one interval.
    """

    inputs: Any
    target: dict[str, np.ndarray]
    groups: np.ndarray
    ids: np.ndarray
    outcomes: tuple[HeldOutcome, ...]
    split: str
    protected: dict[str, np.ndarray] = field(default_factory=dict)
    approve_below: float | None = None
    repeats: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Answers:
    """Targets and one version's predictions on its held-out records, without the records.

    Attributes:
        frame: Columns `record`, `group`, `target.…` and `prediction.…`; where decisions are taken
            `approved`, and `protected.…` with the numbers of groups.
        outcomes: How each outcome is judged.
        split: See `HeldOut`.
        repeats: See `HeldOut`.
        seed: See `HeldOut`.
    """

    frame: pd.DataFrame
    outcomes: tuple[HeldOutcome, ...]
    split: str
    repeats: int = 500
    seed: int = 0


def disguised(held_out: HeldOut, key: bytes | None) -> HeldOut:
    """The same with ids and groups replaced by their hashes, keyed where records are private.

    Equal ids stay equal from run to run, so that two versions can be compared on the records they
    share; nobody without the key can ask whether a patient or borrower is among them.
    """

    def hashed(values: np.ndarray) -> np.ndarray:
        made = [
            hashlib.blake2b(str(value).encode(), key=(key or b"")[:64], digest_size=16).hexdigest()
            for value in values
        ]
        return np.array(made, dtype=object)

    return replace(held_out, ids=hashed(held_out.ids), groups=hashed(held_out.groups))


def answers(held_out: HeldOut, predictions: pd.DataFrame) -> Answers:
    """Put a scorer's predictions beside the targets they are judged by."""
    columns: dict[str, Any] = {
        "record": np.asarray(held_out.ids).astype(str),
        "group": np.asarray(held_out.groups).astype(str),
    }
    for name, values in held_out.target.items():
        columns[f"target.{name}"] = np.asarray(values, dtype=float)
    for name in predictions.columns:
        columns[f"prediction.{name}"] = predictions[name].to_numpy(dtype=float)
    if held_out.approve_below is not None:
        decided = predictions[held_out.outcomes[0].predictions[0]].to_numpy(dtype=float)
        columns["approved"] = decided <= held_out.approve_below
    columns |= {f"protected.{name}": group for name, group in held_out.protected.items()}
    how = held_out.repeats, held_out.seed
    return Answers(pd.DataFrame(columns), held_out.outcomes, held_out.split, *how)


def save(answered: Answers, path: Path) -> None:
    """Write under a temporary name, then rename: Parquet with the outcomes in its metadata."""
    table = pa.Table.from_pandas(answered.frame, preserve_index=False)
    outcomes, how = [asdict(o) for o in answered.outcomes], [answered.repeats, answered.seed]
    meta = json.dumps([outcomes, answered.split, how]).encode()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _META: meta})
    path.parent.mkdir(parents=True, exist_ok=True)
    with durable.replacing(path) as part:
        pq.write_table(table, part)


def load(path: Path) -> Answers:
    """Read what `save` wrote."""
    table = pq.read_table(path)
    outcomes, split, *how = json.loads(table.schema.metadata[_META])
    made = tuple(
        HeldOutcome(**{**o, "target": tuple(o["target"]), "predictions": tuple(o["predictions"])})
        for o in outcomes
    )
    return Answers(table.to_pandas(), made, split, *(how[0] if how else ()))


def judged(outcomes: tuple[HeldOutcome, ...]) -> tuple[HeldOutcome, ...]:
    """The outcomes that make up the primary number: those ranked; amounts when there are none.

    An AUROC and a concordance live on one scale, an R² on another: they are not averaged.
    """
    ranked = tuple(o for o in outcomes if o.metric in ("auroc", "cindex", "ordering"))
    return ranked or outcomes


def primary(answered: Answers) -> Interval:
    """Mean over the judged outcomes of each one's metric, with its 95 % interval by group."""
    outcomes, groups = judged(answered.outcomes), answered.frame["group"].to_numpy()
    mean = _mean_of(answered.frame, outcomes, "prediction.")
    rows = np.arange(len(answered.frame))

    def metric(_: np.ndarray, __: np.ndarray, weight: np.ndarray | None = None) -> float:
        return mean(weight)

    how = answered.repeats, answered.seed
    slack = float(np.mean([_slack(answered.frame, outcome) for outcome in outcomes]))
    return bootstrap(metric, rows, rows, groups, *how, slack)


def difference(new: Answers, old: Answers) -> tuple[Interval, int]:
    """Paired difference of the primary number on the records both held out, and their count.

    Raises:
        KeyError: The old version does not answer every outcome of the new one.
    """
    outcomes = judged(new.outcomes)
    wanted = [f"prediction.{c}" for o in outcomes for c in o.predictions]
    missing = [name for name in wanted if name not in old.frame]
    if missing:
        raise KeyError(missing[0].removeprefix("prediction."))
    renamed = old.frame[["record", *wanted]].rename(columns={c: f"old.{c}" for c in wanted})
    both = new.frame.merge(renamed.drop_duplicates("record"), on="record")
    if not len(both):
        return Interval(float("nan"), float("nan"), float("nan")), 0
    means = [_mean_of(both, outcomes, prefix) for prefix in ("old.prediction.", "prediction.")]
    rows = np.arange(len(both))

    def metric(_: np.ndarray, which: np.ndarray, weight: np.ndarray | None = None) -> float:
        return means[int(which[0])](weight)

    slack = float(np.mean([_slack_between(both, outcome) for outcome in outcomes]))
    how = both["group"].to_numpy(), new.repeats, new.seed, slack
    return paired_bootstrap(metric, rows, np.ones_like(rows), np.zeros_like(rows), *how), len(both)


def _slack(frame: pd.DataFrame, outcome: HeldOutcome) -> float:
    """What flawless answers to an outcome leave open."""
    y, p, known = _pair(frame, outcome, "prediction.")
    if outcome.metric != "auroc":
        return unbounded(prepared(outcome.metric, y[known], p[known])(None))
    return of_area(y[known], p[known], frame["group"].to_numpy()[known])


def _slack_between(both: pd.DataFrame, outcome: HeldOutcome) -> float:
    """What two versions' flawless answers to it leave open of their difference."""
    if outcome.metric != "auroc":
        return 0.0
    (y, new, known), (_, old, _) = (_pair(both, outcome, f"{x}prediction.") for x in ("", "old."))
    return of_gap(y[known], new[known], old[known], both["group"].to_numpy()[known])


def calibration_error(answered: Answers) -> float | None:
    """Largest expected calibration error over the outcomes that answer probabilities."""
    errors = []
    for outcome in answered.outcomes:
        if outcome.metric == "auroc":
            y, p, known = _pair(answered.frame, outcome, "prediction.")
            errors.append(ece(y[known], p[known]))
    return max(errors, default=None)


def _mean_of(
    frame: pd.DataFrame, outcomes: tuple[HeldOutcome, ...], prefix: str
) -> Callable[[np.ndarray | None], float]:
    """Weights of the records → mean of the outcomes' metrics; arrays are taken out once."""
    metrics = []
    for outcome in outcomes:
        y, p, known = _pair(frame, outcome, prefix)
        metrics.append((prepared(outcome.metric, y[known], p[known]), np.flatnonzero(known)))

    def mean(weight: np.ndarray | None) -> float:
        return float(
            np.mean(
                [metric(None if weight is None else weight[places]) for metric, places in metrics]
            )
        )

    return mean


def _pair(
    frame: pd.DataFrame, outcome: HeldOutcome, prefix: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions and which are known; one-column arrays are flattened."""
    y = frame[[f"target.{name}" for name in outcome.target]].to_numpy()
    p = frame[[f"{prefix}{name}" for name in outcome.predictions]].to_numpy()
    known = ~np.isnan(y).any(axis=1)
    if outcome.log1p:
        y, p = np.log1p(y), np.log1p(p)
    return _flat(y), _flat(p), known


def _flat(values: np.ndarray) -> np.ndarray:
    return values[:, 0] if values.shape[1] == 1 else values
