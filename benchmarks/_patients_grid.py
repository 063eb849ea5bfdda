"""Every way of sharing with every way of balancing on one fold, or why a pair makes no sense."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from benchmarks._patients_arms import Arm, keys_of, network, predicted, validation
from benchmarks._patients_data import Fold, fold_of
from benchmarks._rows import Row
from domains.errors import InputError
from domains.healthcare.outcomes.scores import scores
from models.multitask.learning import Recipe
from models.multitask.named import BALANCING, SHARING
from pipelines.settings import home

GROUPS = (("hospdead", "dead180", "dnr"), ("adls", "sfdm2"), ("stay", "cost"))


def rows(recipe: Recipe, name: str) -> list[Row]:
    """One row a pair that was trained, beside hard sharing with equal weights; prints all."""
    found = measured(recipe, name)
    print(table(found))
    base = found["hard", "equal"]["test"]
    return [
        Row(
            f"grid: {sharing} × {balancing}",
            line["test"],
            base,
            "mean",
            line["test"] / base,
            0.0,
            True,
            line["test"] / base,
            line["test"] / base,
        )
        for (sharing, balancing), line in found.items()
        if "test" in line
    ]


def measured(recipe: Recipe, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every pair; those that are missing are measured and kept one by one."""
    path = home() / "benchmarks" / f"patients-{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    found = {tuple(line["pair"]): line for line in map(json.loads, lines)}
    fold = fold_of("support2", 0, 0)
    for pair in product(SHARING, BALANCING):
        if pair not in found:
            print(f"{name}: {' × '.join(pair)}", file=sys.stderr, flush=True)
            found[pair] = {"pair": pair, **_pair(fold, recipe, *pair)}
            with path.open("a") as file:
                file.write(json.dumps(found[pair]) + "\n")
    return found


def _pair(fold: Fold, recipe: Recipe, sharing: str, balancing: str) -> dict[str, Any]:
    groups = GROUPS if sharing == "groups" else ()
    try:
        arm = network(fold, replace(recipe, sharing=sharing, balancing=balancing, groups=groups))
    except InputError as refused:
        return {"refused": str(refused)}
    found = _test(fold, arm)
    return {
        "seconds": round(arm.seconds, 2),
        "epochs": arm.epochs,
        "validation": round(validation(fold, arm), 5),
        "test": round(float(np.mean(list(found.values()))), 5),
        "outcomes": found,
    }


def _test(fold: Fold, arm: Arm) -> dict[str, float]:
    found = scores(fold.codecs, fold.parts["test"].targets, predicted(fold, arm))
    return {name: round(found[key](None), 5) for name, key in keys_of(fold).items()}


def table(found: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """Mean of the main metrics on test records (validation records, processor seconds)."""
    out = [f"| | {' | '.join(BALANCING)} |", "|---" * (len(BALANCING) + 1) + "|"]
    for sharing in SHARING:
        cells = [_cell(found[sharing, balancing]) for balancing in BALANCING]
        out.append(f"| {sharing} | {' | '.join(cells)} |")
    refused = {" × ".join(p): line["refused"] for p, line in found.items() if "refused" in line}
    return "\n".join([*out, "", *(f"- {pair}: {why}" for pair, why in refused.items())])


def _cell(line: Mapping[str, Any]) -> str:
    if "refused" in line:
        return "–"
    return f"{line['test']:.4f} ({line['validation']:.4f}, {line['seconds']:.0f} s)"
