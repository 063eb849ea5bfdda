"""Whether outcomes that share hurt each other: angles between their gradients, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.multitask.grouping import conflicts, proposed
from pipelines.evidence import Figure
from pipelines.reporting.heat import heat, heat_over
from pipelines.steps.patients.training import Trained

_MOST = 3  # pairs that a sentence names
_ROWS = 12  # and that a figure shows
_FEWEST = 2


def figures(folder: Path, model: Trained, names: Sequence[str]) -> list[Figure]:
    """Mean cosine between the outcomes' gradients, over the epochs up to the best one."""
    angles = model.angles()
    if not len(angles):
        return []
    path = heat(folder / "gradients.png", angles.mean(axis=0), names, "cosine")
    caption = (
        f"Mean over {len(angles)} epochs of training (after the 1st, 2nd, 4th and so on), on the "
        "parameters that outcomes share: "
        "above 0 a step that helps one outcome helps the other, below 0 it hurts it."
    )
    whole = Figure("gradients", "Do outcomes pull in one direction?", caption, path)
    return [whole, *_through(folder, angles, names)]


def _through(folder: Path, angles: np.ndarray, names: Sequence[str]) -> list[Figure]:
    """Cosines (epochs, m, m) of the pairs that oppose each other most, epoch after epoch."""
    if len(angles) < _FEWEST or len(names) < _FEWEST:
        return []
    rows, columns = np.triu_indices(len(names), k=1)
    sharing = ~np.isnan(angles[0, rows, columns])
    rows, columns = rows[sharing], columns[sharing]
    each = angles[:, rows, columns].T
    worst = np.argsort(each.mean(axis=1), kind="stable")[:_ROWS]
    epochs = [str(2**number) for number in range(len(angles))]
    pairs = [(names[rows[pair]], names[columns[pair]]) for pair in worst]
    path = heat_over(
        folder / "gradients-through.png", each[worst], pairs, epochs, "after epoch", "cosine"
    )
    few = f"The {len(worst)} of {len(each)} pairs that oppose each other most, the worst on top"
    every = "All pairs, the ones that oppose each other most on top"
    caption = f"{few if len(worst) < len(each) else every}, up to the best epoch."
    return [Figure("gradients-through", "Does that change as they train?", caption, path)]


def findings(model: Trained, names: Sequence[str]) -> list[str]:
    """Which outcomes pull against each other, and what groups follow."""
    lines, angles = [], model.angles()
    if len(angles):
        mean = angles.mean(axis=0)
        shared = int((~np.isnan(mean[np.triu_indices(len(names), k=1)])).sum())
        lines.append(_pulls(conflicts(mean, names), shared))
        groups = proposed(mean, names)
        if len(groups) > 1:
            listed = " | ".join(", ".join(group) for group in groups)
            lines.append(
                f"Gradients propose these groups, which were tried as a control: {listed}."
            )
    return lines


def _pulls(found: list[tuple[str, str, float]], pairs: int) -> str:
    if not found:
        which = f"all {pairs} pairs" if pairs > 1 else "the one pair"
        return f"Gradients of {which} of outcomes agree on average."
    worst = ", ".join(f"{a} and {b} ({cosine:+.2f})" for a, b, cosine in found[:_MOST])
    which = f"; most of all {worst}" if len(found) > _MOST else f": {worst}"
    return f"Gradients of {len(found)} of {pairs} pairs of outcomes oppose each other{which}."
