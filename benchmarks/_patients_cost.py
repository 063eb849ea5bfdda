"""What training seven outcomes together costs beside seven single-task networks of equal size."""

from __future__ import annotations

from functools import partial

from benchmarks._patients_arms import alone, learn, timed
from benchmarks._patients_data import fold_of
from benchmarks._rows import Row, smaller_is_better
from models.multitask.learning import Recipe

GOAL = 4.0
"""A quarter of the processor time."""


def rows(recipe: Recipe, repeats: int) -> list[Row]:
    """Whole trainings, each of which stops by itself, and an epoch of each; in turn."""
    fold = fold_of("support2", 0, 0)
    whole: dict[str, list[float]] = {"together": [], "alone": []}
    epoch: dict[str, list[float]] = {"together": [], "alone": []}
    recipes = {"together": recipe, "alone": alone(recipe)}
    for _ in range(repeats):
        for side, each in recipes.items():
            learned, seconds = timed(partial(learn, fold, each))
            run = [history.epochs for history in learned.histories]
            whole[side].append(seconds)
            epoch[side].append(seconds * len(run) / sum(run))
    told = f"SUPPORT2, {recipe.members} members of {recipe.hidden}"
    return [
        smaller_is_better(
            f"seven outcomes together, {told}", "s", whole["together"], whole["alone"], GOAL
        ),
        smaller_is_better(
            f"an epoch of all seven, {told}", "s", epoch["together"], epoch["alone"], GOAL
        ),
    ]
