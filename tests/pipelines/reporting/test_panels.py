"""Small multiples: a panel an outcome, at both widths, whatever the outcomes are like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pipelines.reporting import curves, panels
from pipelines.reporting.drawing import narrow


def _panels(count: int) -> dict[str, panels.Panel]:
    """Outcomes that grow rarer, each with a good and a poor series."""
    rng = np.random.default_rng(0)
    made: dict[str, panels.Panel] = {}
    for k in range(count):
        p = rng.beta(1, 2 + 4 * k, 400)
        y = (rng.random(400) < p).astype(int)
        y[:2] = 0, 1
        made[f"an outcome of a long name, number {k}"] = (y, {"model": p, "control: other": p**2})
    return made


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    "draw", [panels.reliabilities, panels.rocs, panels.precisions, panels.benefits]
)
def test_every_outcome_has_its_panel_on_a_desk_and_on_a_phone(
    draw: Callable[[Path, Mapping[str, panels.Panel]], Path], count: int, tmp_path: Path
) -> None:
    path = draw(tmp_path / "figure.png", _panels(count))
    sizes = [each.read_bytes()[16:24] for each in (path, narrow(path))]
    assert all(each[:4] == b"\x89PNG" for each in (path.read_bytes(), narrow(path).read_bytes()))
    assert sizes[0] != sizes[1]


def test_precision_is_drawn_from_the_first_yes_on() -> None:
    """Not from a point of no recall, which no record has and whose precision is made up."""
    y, p = np.array([0, 0, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    recall, precision = curves.pr((y, p))
    assert recall[0] == 0.5
    assert precision[0] == pytest.approx(1 / 3)
    assert (recall[-1], precision[-1]) == (1.0, 0.4)
