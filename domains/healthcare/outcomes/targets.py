"""Outcome columns as targets: read, checked, and masked where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.outcomes.checks import check_enough, check_learnable, few
from domains.healthcare.outcomes.spec import Outcome, Value, class_name
from domains.table_file import Records

_MOST_CLASSES = 50


@dataclass(frozen=True)
class Targets:
    """What is known of every outcome, on its natural scale.

    `values[name]` is, by kind: binary (n,) of 0 and 1; multiclass and ordinal (n,) of class names;
    count and regression (n,); survival (n, 2) of time and event. Unknown is NaN, or None for a
    class name.
    """

    outcomes: tuple[Outcome, ...]
    values: dict[str, np.ndarray]

    @property
    def mask(self) -> np.ndarray:
        """Which label is known, (n, outcomes) bool."""
        return np.column_stack([known(self.values[o.name]) for o in self.outcomes])

    def take(self, rows: np.ndarray) -> Targets:
        """The targets of some records."""
        return Targets(self.outcomes, {name: v[rows] for name, v in self.values.items()})


def known(values: np.ndarray) -> np.ndarray:
    """Which records have a label, (n,) bool."""
    missing: np.ndarray = np.asarray(pd.isna(values), dtype=bool)
    return np.logical_not(missing.any(axis=1) if values.ndim == 2 else missing)


def class_names(column: pd.Series, missing: Sequence[Value] = ()) -> np.ndarray:
    """Class name of every cell, None where it is empty or a code for unknown; (n,) object."""
    codes, names = coded(column, missing)
    return np.array([*names, None], dtype=object)[codes]


def coded(column: pd.Series, missing: Sequence[Value] = ()) -> tuple[np.ndarray, list[str | None]]:
    """The same, each distinct value looked at once: codes (n,), -1 where empty, and their names."""
    unknown = {class_name(code) for code in missing} | {""}
    codes, distinct = pd.factorize(column)
    names = (class_name(value) for value in distinct.tolist())
    return codes, [None if name in unknown else name for name in names]


def read_targets(
    frame: Records,
    outcomes: Sequence[Outcome],
    where: str,
    *,
    learn: bool = True,
    least: int = 1,
) -> Targets:
    """Targets of every outcome.

    Args:
        frame: Records; holds every column that the outcomes name.
        outcomes: What to read.
        where: Name of the file, for messages.
        learn: Whether the records are to be learned from, and not only judged by: then an outcome
            needs labels of more than one kind.
        least: Fewest events to learn from: records of yes and of no, or events with a time.

    Raises:
        InputError: An outcome has no label, one class or too few events, a value of the wrong
            kind, or an impossible time; names outcome, column and row.
    """
    readers = {
        "binary": _binary,
        "multiclass": _multiclass,
        "ordinal": _ordinal,
        "count": _count,
        "regression": _regression,
        "survival": _survival,
    }
    values = {}
    for outcome in outcomes:
        place = f"{where}: outcome {outcome.name}, column {outcome.column or outcome.time}"
        values[outcome.name] = readers[outcome.kind](frame, outcome, place)
        if learn:
            labels = values[outcome.name][known(values[outcome.name])]
            seen = _seen(frame[str(outcome.column)], outcome) if outcome.kind == "binary" else []
            check_learnable(labels, len(frame), outcome, place, seen)
            check_enough(labels, outcome, least, place)
    return Targets(tuple(outcomes), values)


def numbers(column: pd.Series, missing: Sequence[Value], place: str) -> np.ndarray:
    """A numeric column as float64, NaN where empty or a code for unknown, (n,).

    Raises:
        InputError: A cell holds text; names its row.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype=float, na_value=np.nan, copy=True)
        values[np.isin(values, [float(code) for code in missing if not isinstance(code, str)])] = (
            np.nan
        )
        return values
    names = class_names(column, missing)
    parsed = pd.to_numeric(pd.Series(names, index=column.index), errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(np.isnan(parsed) & (names != None))  # noqa: E711 (elementwise)
    if len(wrong):
        raise InputError(
            f"{place}: row {wrong[0] + 1} holds text, expected a number; "
            "if it is a code for unknown, list it under missing"
        )
    return parsed


def _yes_or_no(column: pd.Series, outcome: Outcome, place: str) -> np.ndarray:
    names = class_names(column, outcome.missing)
    labelled = names != None  # noqa: E711 (elementwise)
    seen = sorted({str(name) for name in names[labelled]})
    if not outcome.positive and not set(seen) <= {"0", "1"}:
        raise InputError(
            f"{place}: expected 0 and 1, found {few(seen)}; "
            "name the values that mean yes under positive, and codes for unknown under missing"
        )
    yes = {class_name(value) for value in outcome.positive} or {"1"}
    out = np.where(labelled, np.isin(names, list(yes)), np.nan).astype(float)
    out[~labelled] = np.nan
    return out


def _seen(column: pd.Series, outcome: Outcome) -> list[str]:
    """Distinct values of a column, codes for unknown apart."""
    return sorted(set(class_names(column, outcome.missing)) - {None})


def _binary(frame: Records, outcome: Outcome, place: str) -> np.ndarray:
    return _yes_or_no(frame[str(outcome.column)], outcome, place)


def _multiclass(frame: Records, outcome: Outcome, place: str) -> np.ndarray:
    names = class_names(frame[str(outcome.column)], outcome.missing)
    seen = set(names) - {None}
    if len(seen) > _MOST_CLASSES:
        raise InputError(
            f"{place}: {len(seen)} classes, expected at most {_MOST_CLASSES}; "
            "is it a regression, or an identifier?"
        )
    return names


def _ordinal(frame: Records, outcome: Outcome, place: str) -> np.ndarray:
    names = _multiclass(frame, outcome, place)
    seen = set(names) - {None}
    if not outcome.levels and (words := sorted(name for name in seen if not _numeric(name))):
        raise InputError(
            f"{place}: the order of {few(words)} is not known; "
            "name the classes from the lowest to the highest under levels"
        )
    known_levels = {class_name(level) for level in outcome.levels} or seen
    wrong = np.flatnonzero([name is not None and name not in known_levels for name in names])
    if len(wrong):
        raise InputError(
            f"{place}: {len(wrong)} cell(s) hold none of the levels, the first in row "
            f"{wrong[0] + 1}; add the class to levels, or list it under missing"
        )
    return names


def _numeric(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _count(frame: Records, outcome: Outcome, place: str) -> np.ndarray:
    values = numbers(frame[str(outcome.column)], outcome.missing, place)
    wrong = np.flatnonzero((values < 0) | (values % 1 > 0))
    if len(wrong):
        what = "negative" if values[wrong[0]] < 0 else "a fraction"
        raise InputError(
            f"{place}: {len(wrong)} value(s) are no counts, the first in row {wrong[0] + 1} "
            f"({what}); list codes for unknown under missing, or use kind: regression"
        )
    return values


def _regression(frame: Records, outcome: Outcome, place: str) -> np.ndarray:
    values = numbers(frame[str(outcome.column)], outcome.missing, place)
    negative = np.flatnonzero(values < 0)
    if outcome.transform == "log1p" and len(negative):
        raise InputError(
            f"{place}: {len(negative)} negative value(s), the first in row {negative[0] + 1}, "
            "where log1p expects 0 or more; list codes for unknown under missing, "
            "or set transform: none"
        )
    return values


def _survival(frame: Records, outcome: Outcome, place: str) -> np.ndarray:
    time = numbers(frame[str(outcome.time)], outcome.missing, place)
    column = frame[str(outcome.event)]
    place = f"{place.rpartition(', column ')[0]}, event column {outcome.event}"
    event = _yes_or_no(column, outcome, place)
    _check_times(time, event, outcome, place)
    event[np.isnan(time)] = np.nan
    time = np.where(np.isnan(event), np.nan, time)
    return np.column_stack([time, event])


def _check_times(time: np.ndarray, event: np.ndarray, outcome: Outcome, place: str) -> None:
    early = np.flatnonzero(time <= 0)
    if len(early):
        kind = "zero" if time[early[0]] == 0 else "negative"
        raise InputError(
            f"{place}: {len(early)} time(s) in column {outcome.time} not above 0, the first in row "
            f"{early[0] + 1} ({kind}); leave these records out, or list a code under missing"
        )
    lost = np.flatnonzero(np.isnan(time) & (event == 1))
    if len(lost):
        raise InputError(
            f"{place}: {len(lost)} event(s) without a time in column {outcome.time}, "
            f"the first in row {lost[0] + 1}; give the time, or empty the event"
        )
