"""What decisions by a model's scores say, in plain sentences computed from their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from domains.metrics import Interval
from models.credit_counterfactuals import Agreement

if TYPE_CHECKING:
    from pipelines.steps.credit.decisions import Shifted

UNASKED = "Fairness was not measured: the configuration names no protected column (protected: […])."


def calibrated(slope: Interval) -> str | None:
    """Whether probabilities are as far apart as they should be."""
    if not np.isfinite(slope.value):
        return None
    verdict = "cannot be told from 1"
    if slope.high < 1:
        verdict = "is below 1: probabilities are too extreme"
    if slope.low > 1:
        verdict = "is above 1: probabilities are too timid"
    return f"Calibration: the slope on test records, {_range(slope, 2)}, {verdict}."


def decided(asked: float, found: Mapping[str, Interval]) -> str | None:
    """What a threshold buys."""
    rate, bad, all_ = (found[n] for n in ("approval.rate", "approval.default_rate", "default_rate"))
    if not all(np.isfinite([rate.value, bad.value, all_.value])):
        return None
    return (
        f"Decisions: the threshold for approving {asked:.0%} approves {_share(rate)} of the test "
        f"records; {_share(bad)} of these default, of all {all_.value:.1%}."
    )


def reasoned(found: Agreement) -> str | None:
    """How often a reason is one."""
    if not found.named:
        return None
    text = (
        f"Reasons: moving a feature that is named as a reason to its reference lowers the risk in "
        f"{found.agreed / found.named:.1%} of {found.named:,} cases"
    )
    if found.others:
        text += f", moving one that is not named in {found.others_lowered / found.others:.1%}"
    return text + "."


def shifted(found: Shifted) -> str:
    """What knowing the new default rate alone gives back."""
    as_is, by_rate, anew = found.errors.values()
    return (
        f"After the default rate went from {found.before:.1%} to {found.after:.1%}, the "
        f"calibration error is {as_is:.3f}; moving the intercept to the new rate makes it "
        f"{by_rate:.3f}, a fit on the new outcomes {anew:.3f}."
    )


def grouped(column: str, names: Sequence[str], ratio: Interval, odds: Interval) -> str:
    """How unequal decisions are."""
    text = (
        f"Fairness, {column}: of its {len(names)} groups, the least approved one is approved "
        f"{_range(ratio, 2)} times as often as the most approved one"
    )
    if np.isfinite(odds.value):
        text += (
            f"; among those with the same outcome, approval differs by up to {_share(odds)} "
            "(equalised odds)"
        )
    return text + "."


def levelling(column: str, auroc: Interval, bad: Interval) -> str:
    """What equal approval would cost."""
    return (
        f"Equal approval of {column} groups, by a threshold for each, would change AUROC by "
        f"{_range(auroc, 3, signed=True)} and the default rate of those approved by "
        f"{100 * bad.value:+z.2f} points ({100 * bad.low:+z.2f} to {100 * bad.high:+z.2f})."
    )


def alone(column: str, names: Sequence[str], small: int | None, least: int) -> str:
    """Why a column is not compared."""
    held = f"one group alone ({names[0]})" if names else "no group"
    few = f", and {small} with fewer than that" if small else ""
    return (
        f"Fairness, {column}: {held} has {least} test records or more{few}, so there is nothing to "
        "compare."
    )


def _range(value: Interval, digits: int, signed: bool = False) -> str:
    form = f"{'+' if signed else ''}z.{digits}f"
    return f"{value.value:{form}} (95 % interval {value.low:{form}} to {value.high:{form}})"


def _share(value: Interval) -> str:
    return f"{value.value:.1%} ({value.low:.1%} to {value.high:.1%})"
