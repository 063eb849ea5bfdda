"""What answers each outcome: the network that all share, or a model of its own in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from domains.healthcare.outcomes.scores import Comparison
from domains.metrics import Interval
from models.multitask.patched import SINGLE
from pipelines.evidence import Cell, Table
from pipelines.governance.noninferiority import Noninferiority
from pipelines.reporting.wording import with_bounds

SHARED = "shared"
Why = Literal["kept", "behind", "not shown", "no label"]


@dataclass(frozen=True)
class Choice:
    """One outcome's, made on decision records.

    Attributes:
        outcome: Its name.
        by: What answers it, `shared` or the name of a control.
        why: `kept`: nothing spoke against sharing; `behind`: it was behind `by` by more than is
            allowed and than chance often makes; `not shown`: it was behind its single-task network
            and may be too far behind; `no label`: decision records could not tell.
        gaps: The shared network less each rival.
        allowed: How far it may be behind the better rival.
        margin: How far its interval may reach below its single-task network.
        labels: Of the decision records.
    """

    outcome: str
    by: str
    why: Why
    gaps: Mapping[str, Interval]
    allowed: float
    margin: float
    labels: int


def choose(
    comparison: Comparison,
    keys: Mapping[str, str],
    rivals: Sequence[str],
    allowed: float,
    margins: Noninferiority | None,
    labels: Mapping[str, int],
) -> tuple[Choice, ...]:
    """Where an outcome is better off without sharing.

    It is answered by the better of its rivals where the shared network is behind that one by more
    than is allowed and by more than one standard error, or where it is behind its single-task
    network and the lower end of that difference's interval does not reach the margin of
    non-inferiority. With few labels the better of two models is often so by chance, and the network
    that learned from all outcomes is then the one to trust (the one-standard-error rule: Breiman et
    al., Classification and Regression Trees, 1984).

    Args:
        comparison: Of `shared` and the rivals, on records that none of them trained on.
        keys: Outcome → key of its main metric.
        rivals: Names of the models that could answer in its place.
        allowed: In the main metric.
        margins: By outcome; None: the interval has no say.
        labels: Of those records, by outcome.
    """
    return tuple(
        _choose(
            comparison,
            key,
            rivals,
            Choice(
                name,
                SHARED,
                "no label",
                {},
                allowed,
                margins.of(name) if margins else inf,
                labels[name],
            ),
        )
        for name, key in keys.items()
    )


def _choose(comparison: Comparison, key: str, rivals: Sequence[str], unknown: Choice) -> Choice:
    """The choice in place of one that could not be made."""
    if any(key not in comparison.values[each] for each in (SHARED, *rivals)):
        return unknown
    allowed, margin = unknown.allowed, unknown.margin
    gaps = {rival: comparison.difference(SHARED, rival, key) for rival in rivals}
    best = min(rivals, key=lambda rival: gaps[rival].value)
    if gaps[best].value < -max(allowed, _error(gaps[best])):
        return replace(unknown, by=best, why="behind", gaps=gaps)
    if SINGLE in gaps and gaps[SINGLE].value < 0 and gaps[SINGLE].low < -margin:
        return replace(unknown, by=best, why="not shown", gaps=gaps)
    return replace(unknown, by=SHARED, why="kept", gaps=gaps)


def _error(gap: Interval) -> float:
    """Standard error of a difference, from its 95 % interval."""
    return (gap.high - gap.low) / (2 * 1.96)


def sentences(model: str, choices: Sequence[Choice], records: int) -> list[str]:
    """By what each outcome of a shared network is served, and why.

    Args:
        model: Name of the trained network.
        choices: Of all outcomes; none where no rival was trained.
        records: How many they were made on.
    """
    if model != SHARED:
        return []
    if not choices:
        return [
            "Not compared with single-task networks, of which none was trained: the shared network "
            "answers every outcome."
        ]
    on = f"{records:,} records that no rival trained on"
    apart = [_apart(choice) for choice in choices if choice.by != SHARED]
    kept = [choice for choice in choices if choice.why == "kept"]
    if kept:
        listed = ", ".join(choice.outcome for choice in kept)
        apart.append(f"Served by the shared network, against which {on} do not speak: {listed}.")
    if untold := [choice.outcome for choice in choices if choice.why == "no label"]:
        apart.append(
            f"Served by the shared network and not compared: {', '.join(untold)}; {on} have too "
            "few labels."
        )
    return apart


def _apart(choice: Choice) -> str:
    on = f"{choice.labels:,} records with a label that no rival trained on"
    text = f"{choice.outcome} is served by its {_MODELS[choice.by]} inside the same version: "
    if choice.why == "behind":
        gap = choice.gaps[choice.by]
        return (
            f"{text}on {on} the shared network was behind it by {-gap.value:.3f} "
            f"({_interval(gap)}), and {choice.allowed:g} is allowed."
        )
    gap = choice.gaps[SINGLE]
    return (
        f"{text}{on} do not show that the shared network is not worse than the single-task one by "
        f"more than {choice.margin:g} ({gap.value:+.3f}, {_interval(gap)})."
    )


_MODELS = {"single-task": "single-task network", "boosting": "boosted trees"}


def tables(choices: Sequence[Choice], records: int) -> list[Table]:
    """What the choices were made by: a line an outcome; none where there was nothing to choose.

    Args:
        choices: Of all outcomes.
        records: How many they were made on.
    """
    rivals = list(dict.fromkeys(rival for choice in choices for rival in choice.gaps))
    if not rivals:
        return []
    rows: list[list[Cell]] = [
        [
            choice.outcome,
            choice.by,
            choice.labels,
            *(_cell(choice.gaps.get(rival)) for rival in rivals),
        ]
        for choice in choices
    ]
    caption = (
        "The shared network less each rival, in the outcome's own metric, with 95 % intervals by "
        f"patient, on {records:,} records that no rival trained on. Test records had no say."
    )
    columns = ["outcome", "answered by", "labels", *(f"less {rival}" for rival in rivals)]
    return [Table("How it was decided what answers", caption, columns, rows)]


def _cell(gap: Interval | None) -> Cell:
    return None if gap is None else with_bounds(gap, signed=True)


def _interval(gap: Interval) -> str:
    return f"95 % interval {gap.low:+.3f} to {gap.high:+.3f}"
