"""What is measured on a fold: shared networks, single-task ones, boosting, and what is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from benchmarks._patients_data import Fold
from domains.healthcare.outcomes.scores import Score, compare, scores
from domains.healthcare.outcomes.targets import known
from domains.healthcare.patients import Cohort
from models.multitask.boosting import boost
from models.multitask.learning import Learned, Recipe, logits, train
from models.multitask.patched import BOOSTING, SINGLE
from models.multitask.scorer import predictions
from pipelines.governance.gate import load_rules
from pipelines.settings import PatientsConfig
from pipelines.steps.patients.choosing import SHARED, choose
from pipelines.steps.patients.prepare import EFFORTS

DECIDED_ON = ("validation", "calibration")
SERVED, STOPPED = "served", "boosting, stopped early"
REPEATS = EFFORTS["full"].repeats
Answers = dict[str, dict[str, np.ndarray]]
"""Part → outcome → logits (n, size)."""


@dataclass(frozen=True)
class Arm:
    """What learned, and what it answers.

    Attributes:
        answers: On validation, calibration and test records.
        seconds: Of processor, training.
        unseen: Answers on `DECIDED_ON` by what trained on none of them, where `answers` are not.
        epochs: Run, one number an independent network.
    """

    answers: Answers
    seconds: float
    unseen: Answers | None = None
    epochs: tuple[int, ...] = ()


def network(fold: Fold, recipe: Recipe) -> Arm:
    """A network, or several that share nothing."""
    learned, seconds = timed(lambda: learn(fold, recipe))
    answers = _answers(fold, lambda c: logits(learned.network, fold.encoder.encode(c.features)))
    return Arm(answers, seconds, epochs=tuple(each.epochs for each in learned.histories))


def learn(fold: Fold, recipe: Recipe) -> Learned:
    """A recipe's network, trained on the fold."""
    return train(recipe, fold.codecs, fold.records("train"), fold.records("validation"))


def timed(work: Callable[[], Learned]) -> tuple[Learned, float]:
    """What it makes, and its seconds of processor."""
    started = time.process_time()
    return work(), time.process_time() - started


def boosting(fold: Fold, seed: int) -> Arm:
    """Boosted trees of default settings, on validation records too, with twins that are not.

    What serves an outcome is chosen on records that the twins have not seen. The product's own
    trees stop where the loss on validation records is lowest: a stronger fallback than these.
    """
    train, validation = fold.parts["train"], fold.parts["validation"]
    started = time.process_time()
    answers = _boosted(fold, train.joined(validation), seed)
    return Arm(answers, time.process_time() - started, unseen=_boosted(fold, train, seed))


def _boosted(fold: Fold, cohort: Cohort, seed: int) -> Answers:
    x, kind = fold.encoder.ordinal(cohort.features), fold.encoder.categorical
    targets = {n: codec.encode(cohort.targets.values[n]) for n, codec in fold.codecs.items()}
    trees = {
        n: boost(fold.codecs[n], x, y, categorical=kind, seed=seed) for n, y in targets.items()
    }

    def answer(records: Cohort) -> dict[str, np.ndarray]:
        queries = fold.encoder.ordinal(records.features)
        return {name: each.logits(queries) for name, each in trees.items()}

    return _answers(fold, answer)


def stopped(fold: Fold, seed: int) -> Arm:
    """Boosted trees that hold a tenth of the same records out and stop early.

    Default settings boost rare events for too long; this control says how much of a gain is that.
    """
    cohort = fold.parts["train"].joined(fold.parts["validation"])
    started = time.process_time()
    trees = {name: _stopping(fold, cohort, name, seed) for name in fold.codecs}
    seconds = time.process_time() - started

    def answer(records: Cohort) -> dict[str, np.ndarray]:
        queries = fold.encoder.ordinal(records.features)
        return {name: said(queries) for name, said in trees.items()}

    return Arm(_answers(fold, answer), seconds)


def _stopping(
    fold: Fold, cohort: Cohort, name: str, seed: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Features (n, features) → logits (n, 1) of an outcome of yes and no, or an amount."""
    y = fold.codecs[name].encode(cohort.targets.values[name])
    rows = known(y)
    x = fold.encoder.ordinal(cohort.features)[rows]
    filled = np.flatnonzero(~np.isnan(x).all(axis=0))
    settings: dict[str, Any] = {
        "categorical_features": fold.encoder.categorical[filled],
        "early_stopping": True,
        "random_state": seed,
    }
    if fold.codecs[name].outcome.kind == "binary":
        trees = HistGradientBoostingClassifier(**settings).fit(x[:, filled], y[rows])
        said = trees.decision_function
    else:
        said = HistGradientBoostingRegressor(**settings).fit(x[:, filled], y[rows]).predict
    return lambda queries: np.asarray(said(queries[:, filled]), dtype=float)[:, None]


def _answers(fold: Fold, answer: Callable[[Cohort], dict[str, np.ndarray]]) -> Answers:
    return {part: answer(fold.parts[part]) for part in (*DECIDED_ON, "test")}


def predicted(fold: Fold, arm: Arm) -> pd.DataFrame:
    """What an arm says of the test records, in natural units and before calibration."""
    return predictions(fold.codecs, arm.answers["test"], {})


def validation(fold: Fold, arm: Arm) -> float:
    """Mean over outcomes of the main metric on validation records."""
    found = scores(
        fold.codecs,
        fold.parts["validation"].targets,
        predictions(fold.codecs, (arm.unseen or arm.answers)["validation"], {}),
    )
    return float(np.mean([found[key](None) for key in keys_of(fold).values()]))


def keys_of(fold: Fold) -> dict[str, str]:
    """Outcome → key of its main metric."""
    return {name: f"{name}.{codec.outcome.metric}" for name, codec in fold.codecs.items()}


def choices(fold: Fold, arms: Mapping[str, Arm], seed: int) -> dict[str, str]:
    """Outcome → what the product serves it by: its own rule, settings and margins."""
    first, second = (fold.parts[part] for part in DECIDED_ON)
    cohort, keys = first.joined(second), keys_of(fold)
    names = (SHARED, SINGLE, BOOSTING)
    judged = {name: _judged(fold, arms[name], cohort, set(keys.values())) for name in names}
    comparison = compare(judged, cohort.patients, REPEATS, seed)
    margins = load_rules("patients", "patients").noninferiority
    labels = {name: int(known(values).sum()) for name, values in cohort.targets.values.items()}
    made = choose(comparison, keys, names[1:], PatientsConfig().worse, margins, labels)
    return {choice.outcome: choice.by for choice in made}


def _judged(fold: Fold, arm: Arm, cohort: Cohort, keys: set[str]) -> dict[str, Score]:
    answers = arm.unseen or arm.answers
    outputs = {
        name: np.concatenate([answers[part][name] for part in DECIDED_ON]) for name in fold.codecs
    }
    found = scores(fold.codecs, cohort.targets, predictions(fold.codecs, outputs, {}))
    return {key: score for key, score in found.items() if key in keys}


def alone(recipe: Recipe) -> Recipe:
    """Single-task networks of the same size."""
    return replace(recipe, sharing="none", balancing="equal", settings={})
