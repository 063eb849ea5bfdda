"""The tables that set trainings against each other: which measures, which trainings, which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.evidence import Arm
from pipelines.reporting import wording

_ELSEWHERE = ("external.", "validation.")  # not of the test records that arms are compared on
_OF_ONE = "shared."  # a part of the registered model by itself, which no other training has
_IMPLIED = {"gini": "auroc"}  # says what the other one says
_ACROSS, _MANY = 5, 5  # columns that fit; trainings that do not fit side by side


@dataclass(frozen=True)
class Board:
    """One table.

    Attributes:
        title: What it is of; empty for the test records themselves.
        names: Measures, in order.
        arms: Trainings that have any of them.
        upright: A training a line; else a measure a line.
    """

    title: str
    names: list[str]
    arms: list[Arm]
    upright: bool

    def heading(self, name: str) -> str:
        """A measure's name, without what the title says already."""
        return wording.title(wording.split_name(name)[1] if self.title else name)

    def best(self, name: str) -> float | None:
        """The best value of a measure; None where there is none, or all are alike."""
        values = {arm.name: arm.metrics[name] for arm in self.arms if name in arm.metrics}
        key = wording.best(values, name) if len({*values.values()}) > 1 else None
        return None if key is None else values[key]


def boards(arms: Sequence[Arm]) -> list[Board]:
    """One table of the test records, and one of each further test of some trainings.

    Where measures are told by outcome, they stay together in one table.
    """
    compared = wording.names(name for arm in arms for name in arm.metrics)
    compared = [name for name in compared if not name.startswith((*_ELSEWHERE, _OF_ONE))]
    if not any(name in compared for name in wording.main_metrics(compared) if "." not in name):
        return [_board("", compared, arms)] if compared else []
    parts = dict.fromkeys(wording.split_name(name)[0] for name in compared)
    return [
        _board(part, [name for name in compared if wording.split_name(name)[0] == part], arms)
        for part in sorted(parts, key=bool)
    ]


def _board(part: str, names: Sequence[str], arms: Sequence[Arm]) -> Board:
    shown = [name for name in names if not _implied(name, names)]
    having = [arm for arm in arms if any(name in arm.metrics for name in shown)]
    upright = len(shown) <= _ACROSS or len(having) > _MANY
    title = wording.title(part) if part else ""
    return Board(title, shown, having if part else list(arms), upright)


def _implied(name: str, names: Sequence[str]) -> bool:
    part, metric = wording.split_name(name)
    other = _IMPLIED.get(metric)
    return other is not None and (f"{part}.{other}" if part else other) in names
