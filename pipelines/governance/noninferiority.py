"""No outcome much worse for having shared: the margins, and who lies beyond them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domains.errors import InputError
from domains.metrics import Interval


@dataclass(frozen=True)
class Noninferiority:
    """How much worse than its own single-task model an outcome may be, in its main metric.

    Attributes:
        margin: Of every outcome.
        outcomes: Of those that have one of their own.
    """

    margin: float
    outcomes: Mapping[str, float] = field(default_factory=dict)

    def of(self, outcome: str) -> float:
        """The margin of an outcome."""
        return self.outcomes.get(outcome, self.margin)


def read_margins(table: Any, path: Path, pipeline: str) -> Noninferiority:
    """The table `noninferiority` of `mlflow/promotion.toml`.

    Raises:
        InputError: It lacks `margin`, has an unknown key, or a margin that is no number from 0.
    """
    where = f"{path}: noninferiority for {pipeline}"
    if not isinstance(table, dict) or "margin" not in table:
        raise InputError(f"{where}: no margin; give a table with margin, and outcomes if any")
    if unknown := table.keys() - {"margin", "outcomes"}:
        raise InputError(f"{where}: unknown key {min(unknown)!r}; known: ['margin', 'outcomes']")
    own = table.get("outcomes", {})
    if not isinstance(own, dict):
        raise InputError(f"{where}: outcomes {own!r}; a table of outcome and margin")
    for name, value in {"margin": table["margin"], **own}.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < math.inf:
            raise InputError(f"{where}: {name} {value!r}; a number from 0")
    return Noninferiority(float(table["margin"]), {name: float(v) for name, v in own.items()})


def shared_less_own(evidence: Mapping[str, Any]) -> dict[str, Interval]:
    """Outcomes that the shared network serves → its difference from their single-task networks on
    test records; without those of which no single-task network was trained."""
    return {
        name: Interval(*told["less_own"])
        for name, told in evidence.get("served", {}).items()
        if told["by"] == "shared" and told["less_own"]
    }


def beyond(rules: Noninferiority, gaps: Mapping[str, Interval]) -> list[str]:
    """Outcomes whose whole interval lies below the margin, each with its numbers."""
    return [
        f"{name} {gap.value:+.4f}, 95 % interval {gap.low:+.4f} to {gap.high:+.4f}, below "
        f"{-rules.of(name):g}"
        for name, gap in gaps.items()
        if gap.high < -rules.of(name)
    ]
