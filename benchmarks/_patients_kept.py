"""Repeats of the patients benchmark: measured once, kept line by line, pooled over folds.

A repeat is a fold and a seed. What every arm says of the fold's test records is kept, so that over
the folds each patient is tested once a seed. A metric is taken inside each fold and averaged over
folds and seeds; patients are resampled whole, the same for all arms: differences are paired.
Intervals hold who was tested, and not which networks a further seed would have given.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._patients_arms import (
    REPEATS,
    SERVED,
    STOPPED,
    alone,
    boosting,
    choices,
    network,
    predicted,
    stopped,
    validation,
)
from benchmarks._patients_data import COHORTS, fold_of, test_rows
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.outcomes.scores import Comparison, Score, compare, scores
from models.multitask.learning import Recipe
from models.multitask.patched import BOOSTING, SINGLE
from pipelines.settings import home
from pipelines.steps.patients.choosing import SHARED

ALL = "all"
"""Key of the mean over every outcome, AUROC and R² together."""


@dataclass(frozen=True)
class Plan:
    """What a part measures.

    Attributes:
        name: Of its file.
        cohort: A name of `benchmarks._patients_data.COHORTS`.
        recipes: Arm → network; `shared` is the one that is served.
        folds, seeds: How many.
        count: Records to train on; 0: all.
    """

    name: str
    cohort: str
    recipes: Mapping[str, Recipe]
    folds: int
    seeds: int
    count: int = 0

    @property
    def path(self) -> Path:
        """The file of its repeats."""
        return home() / "benchmarks" / f"patients-{self.name}.jsonl"

    @property
    def repeats(self) -> list[tuple[int, int]]:
        """Folds and seeds, all folds of a seed before the next."""
        return [(fold, seed) for seed, fold in product(range(self.seeds), range(self.folds))]


def measured(plan: Plan) -> list[dict[str, Any]]:
    """Every repeat of a plan; those that are missing are measured and kept one by one."""
    for fold, seed in plan.repeats:
        if (fold, seed) not in {(line["fold"], line["seed"]) for line in _kept(plan)}:
            print(f"{plan.name}: fold {fold}, seed {seed}", file=sys.stderr, flush=True)
            line = json.dumps(_repeat(plan, fold, seed))
            plan.path.parent.mkdir(parents=True, exist_ok=True)
            with plan.path.open("a") as file:
                file.write(line + "\n")
    return [line for line in _kept(plan) if (line["fold"], line["seed"]) in plan.repeats]


def _kept(plan: Plan) -> list[dict[str, Any]]:
    lines = plan.path.read_text().splitlines() if plan.path.exists() else []
    return [json.loads(line) for line in lines]


def _repeat(plan: Plan, number: int, seed: int) -> dict[str, Any]:
    fold = fold_of(plan.cohort, number, seed, plan.count)
    recipes = {name: replace(recipe, seed=seed) for name, recipe in plan.recipes.items()}
    recipes[SINGLE] = alone(recipes[SHARED])
    arms = {name: network(fold, recipe) for name, recipe in recipes.items()}
    arms[BOOSTING] = boosting(fold, seed)
    tables = {name: predicted(fold, arm) for name, arm in arms.items()}
    tables[STOPPED] = predicted(fold, stopped(fold, seed))
    by = choices(fold, arms, seed)
    parts = [tables[arm][list(fold.codecs[name].columns)] for name, arm in by.items()]
    tables[SERVED] = pd.concat(parts, axis=1)
    return {
        "fold": number,
        "seed": seed,
        "by": by,
        "seconds": {name: round(arm.seconds, 2) for name, arm in arms.items()},
        "epochs": {name: arm.epochs for name, arm in arms.items()},
        "validation": {name: round(validation(fold, arm), 5) for name, arm in arms.items()},
        "answers": {name: _written(table) for name, table in tables.items()},
    }


def _written(table: pd.DataFrame) -> dict[str, list[float]]:
    """Six digits are enough for ranks and amounts."""
    return {str(name): [float(f"{v:.6g}") for v in table[name]] for name in table}


def compared(plan: Plan, lines: list[dict[str, Any]]) -> Comparison:
    """All arms, each metric the mean over repeats, on the same resamples of patients."""
    each = [_scores(plan, line) for line in lines]
    models = {
        arm: {key: partial(_mean, [scored[arm][key] for scored in each]) for key in each[0][arm]}
        for arm in each[0]
        if all(arm in scored for scored in each)
    }
    patients = COHORTS[plan.cohort]().patients
    return _with_all(compare(models, patients, REPEATS, 0))


def _scores(plan: Plan, line: dict[str, Any]) -> dict[str, dict[str, Score]]:
    """Of one repeat, main metrics alone: arm → key → score by weights of the whole cohort."""
    cohort = COHORTS[plan.cohort]()
    rows = test_rows(cohort, line["fold"])
    targets, values = cohort.targets.take(rows), cohort.targets.values
    codecs = {o.name: fit_codec(o, values[o.name], True) for o in cohort.targets.outcomes}
    keys = [f"{name}.{codec.outcome.metric}" for name, codec in codecs.items()]
    found: dict[str, dict[str, Score]] = {}
    for arm, answers in line["answers"].items():
        scored = scores(codecs, targets, pd.DataFrame(answers))
        found[arm] = {key: partial(_inside, scored[key], rows) for key in keys}
    return found


def _inside(score: Score, rows: np.ndarray, weight: np.ndarray | None) -> float:
    return score(None if weight is None else weight[rows])


def _mean(each: list[Score], weight: np.ndarray | None) -> float:
    return float(np.mean([score(weight) for score in each]))


def _with_all(comparison: Comparison) -> Comparison:
    for arm, values in comparison.values.items():
        keys = [key for key in values if "." in key]
        draws = comparison.draws[arm]
        values[ALL] = float(np.mean([values[key] for key in keys]))
        draws[ALL] = np.mean([draws[key] for key in keys], axis=0)
    return comparison
