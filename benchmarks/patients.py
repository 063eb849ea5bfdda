"""Patients: one model of many outcomes beside boosting and single-task networks, and its cost.

    make bench-patients ARGS="--quick --json out.json"
    make bench-patients ARGS="--only outcomes few"

`outcomes`, `few` and `nafld` are AUROC (R² of amounts) on patients of five folds; `OUTCOME.auroc`
is that of what is served, chosen outcome by outcome on validation and calibration records by the
product's own rule, and `shared.OUTCOME.auroc` that of the shared network. Tables hold boosting that
stops early too, for default settings overfit rare events. They are kept repeat by repeat under
CARELEDGER_HOME/benchmarks and go on from there; with --quick fewer repeats are made, of smaller
networks. `cost` is processor time and wants a quiet machine. `stream`, which runs where it is
named, is memory and speed of one epoch of a million records from Parquet.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # nets this small lose by more; read by torch

from collections.abc import Mapping
from dataclasses import replace

from benchmarks import _patients_cost, _patients_grid
from benchmarks._patients_kept import Plan
from benchmarks._patients_stream import stream
from benchmarks._patients_told import told
from benchmarks._rows import Part, Row, main_of
from models.multitask.learning import Recipe
from pipelines.steps.patients.choosing import SHARED
from pipelines.steps.patients.prepare import EFFORTS

UNCERTAINTY = "hard × uncertainty"
FEW = (250, 1000)


def recipe(quick: bool, members: int = 8) -> Recipe:
    """The product's default network, with half of its members at most."""
    effort = EFFORTS["tiny" if quick else "full"]
    members = min(members, 2) if quick else members
    return Recipe("hard", 128, effort.epochs, effort.patience, 0, trunk="tabm", members=members)


def best(quick: bool) -> Mapping[str, Recipe]:
    """The two that were best on validation records; the first is the product's default."""
    shared = recipe(quick)
    return {SHARED: shared, UNCERTAINTY: replace(shared, balancing="uncertainty")}


def outcomes(quick: bool) -> list[Row]:
    """Seven outcomes of SUPPORT2."""
    return told(_plan("outcomes", "support2", quick, seeds=3))


def few(quick: bool) -> list[Row]:
    """The same with few training records; with all of them it is `outcomes`."""
    plans = [_plan(f"few-{n}", "support2", quick, count=n) for n in FEW[: 1 if quick else 2]]
    return [row for plan in plans for row in told(plan)]


def nafld(quick: bool) -> list[Row]:
    """Eleven outcomes within five years."""
    plan = _plan("nafld", "nafld", quick)
    return told(replace(plan, recipes={SHARED: plan.recipes[SHARED]}))


def grid(quick: bool) -> list[Row]:
    """Every way of sharing with every way of balancing, smaller networks, one fold."""
    small = replace(recipe(quick, members=4), patience=2 if quick else 8)
    chosen = replace(small, epochs=3) if quick else small
    return _patients_grid.rows(chosen, _named("grid", quick))


def cost(quick: bool) -> list[Row]:
    """Processor seconds of training all together, and each outcome alone."""
    return _patients_cost.rows(recipe(quick), 5)


def _plan(name: str, cohort: str, quick: bool, seeds: int = 1, count: int = 0) -> Plan:
    folds, seeds = (1, 1) if quick else (5, seeds)
    return Plan(_named(name, quick), cohort, best(quick), folds, seeds, count)


def _named(name: str, quick: bool) -> str:
    return f"{name}-quick" if quick else name


PARTS = {
    "outcomes": Part(outcomes),
    "grid": Part(grid),
    "few": Part(few),
    "nafld": Part(nafld),
    "cost": Part(cost),
    "stream": Part(stream, named=True),
}

if __name__ == "__main__":
    main_of(PARTS, "Many outcomes from one record, beside boosting and single-task networks.")
