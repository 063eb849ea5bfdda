"""Whether an outcome's labels can be learned from, and one line where they cannot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from domains.errors import InputError
from domains.healthcare.outcomes.spec import Outcome, class_name


def check_learnable(
    labels: np.ndarray, records: int, outcome: Outcome, place: str, seen: Sequence[str]
) -> None:
    """Raise InputError when labels are all missing or all the same.

    Args:
        labels: Those that are known, (labels,), of survival (labels, 2).
        records: How many records there are.
        outcome: What they are of.
        place: File, outcome and column, for messages.
        seen: Binary: distinct values of its column.
    """
    if not len(labels):
        raise InputError(
            f"{place}: none of the {records} records has a label; name another column, "
            "or leave the outcome out"
        )
    if outcome.kind == "binary":
        _check_both(labels, seen, outcome, place)
    elif outcome.kind == "survival":
        _check_events(labels, outcome, place)
    elif len(set(labels)) == 1:
        classes = outcome.kind in ("multiclass", "ordinal")
        what = "one class only" if classes else "one value only"
        raise InputError(
            f"{place}: {what} in {len(labels)} labelled records, expected at least two; "
            "name another column, or leave the outcome out"
        )


def check_enough(labels: np.ndarray, outcome: Outcome, least: int, place: str) -> None:
    """Raise InputError when an outcome that happens or not did so, or did not, too rarely."""
    if outcome.kind == "survival":
        events = int((labels[:, 1] == 1).sum())
        found = f"{events} event(s) in column {outcome.event}, of {len(labels)} records with a time"
    elif outcome.kind == "binary":
        yes = int((labels == 1).sum())
        events = min(yes, len(labels) - yes)
        found = f"{yes} yes and {len(labels) - yes} no in {len(labels)} labelled records"
    else:
        return
    if events < least:
        raise InputError(
            f"{place}: {found}, expected at least {least} (data.least_events); bring more "
            "records, or leave the outcome out"
        )


def few(seen: Sequence[str]) -> str:
    """Distinct values for a message: labels are shown when few and short, else only counted."""
    if len(seen) > 6 or any(len(name) > 24 for name in seen):
        return f"{len(seen)} different values"
    return ", ".join(seen)


def _check_both(labels: np.ndarray, seen: Sequence[str], outcome: Outcome, place: str) -> None:
    """Raise when all labels are the same: perhaps `positive` is misspelled."""
    if (labels == labels[0]).all():
        yes = ", ".join(class_name(v) for v in outcome.positive) or "1"
        quoted = "; YAML reads a bare yes or no as true or false: quote it"
        hint = quoted if any(isinstance(v, bool) for v in outcome.positive) else ""
        raise InputError(
            f"{place}: one class only in {len(labels)} labelled records (values {few(seen)}; "
            f"yes means {yes}), expected yes and no; check positive and missing{hint}"
        )


def _check_events(labels: np.ndarray, outcome: Outcome, place: str) -> None:
    if not (labels[:, 1] == 1).any():
        raise InputError(
            f"{place}: event column {outcome.event} holds no event in {len(labels)} records with "
            "a time, expected some; check positive"
        )
    longest = labels[:, 0].max()
    beyond = [horizon for horizon in outcome.horizons if horizon > longest]
    if beyond:
        raise InputError(
            f"{place}: horizon {beyond[0]:g} lies beyond the longest time, {longest:g}; "
            "horizons are in the unit of the time column"
        )
