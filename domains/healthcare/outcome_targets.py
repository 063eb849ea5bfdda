"""Outcome columns as targets: read, checked, and masked where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.outcome_spec import Outcome, Value

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


def class_name(value: object) -> str:
    """One spelling for a class or category however a file stores it: 1, 1.0 and ' 1' are `1`."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, int | float | np.integer | np.floating):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text


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
    frame: pd.DataFrame, outcomes: Sequence[Outcome], where: str, *, learn: bool = True
) -> Targets:
    """Targets of every outcome.

    Args:
        frame: Records; holds every column that the outcomes name.
        outcomes: What to read.
        where: Name of the file, for messages.
        learn: Whether the records are to be learned from, and not only judged by: then an outcome
            needs labels of more than one kind.

    Raises:
        InputError: An outcome has no label or one class, a value of the wrong kind, or an
            impossible time; names outcome, column and row.
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
            _check_learnable(values[outcome.name], frame, outcome, place)
    return Targets(tuple(outcomes), values)


def _check_learnable(values: np.ndarray, frame: pd.DataFrame, outcome: Outcome, place: str) -> None:
    """Raise when labels are all missing or all the same: nothing can be learned from them."""
    labels = values[known(values)]
    if not len(labels):
        raise InputError(
            f"{place}: none of the {len(frame)} records has a label; name another column, "
            "or leave the outcome out"
        )
    if outcome.kind == "binary":
        _check_both(labels, frame[str(outcome.column)], outcome, place)
    elif outcome.kind == "survival":
        _check_events(labels, outcome, place)
    elif len(set(labels)) == 1:
        classes = outcome.kind in ("multiclass", "ordinal")
        what = "one class only" if classes else "one value only"
        raise InputError(
            f"{place}: {what} in {len(labels)} labelled records, expected at least two; "
            "name another column, or leave the outcome out"
        )


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
            f"{place}: expected 0 and 1, found {_few(seen)}; "
            "name the values that mean yes under positive, and codes for unknown under missing"
        )
    yes = {class_name(value) for value in outcome.positive} or {"1"}
    out = np.where(labelled, np.isin(names, list(yes)), np.nan).astype(float)
    out[~labelled] = np.nan
    return out


def _binary(frame: pd.DataFrame, outcome: Outcome, place: str) -> np.ndarray:
    return _yes_or_no(frame[str(outcome.column)], outcome, place)


def _check_both(labels: np.ndarray, column: pd.Series, outcome: Outcome, place: str) -> None:
    """Raise when all labels are the same: perhaps `positive` is misspelled."""
    if (labels == labels[0]).all():
        seen = sorted(set(class_names(column, outcome.missing)) - {None})
        yes = ", ".join(class_name(v) for v in outcome.positive) or "1"
        quoted = "; YAML reads a bare yes or no as true or false: quote it"
        hint = quoted if any(isinstance(v, bool) for v in outcome.positive) else ""
        raise InputError(
            f"{place}: one class only in {len(labels)} labelled records (values {_few(seen)}; "
            f"yes means {yes}), expected yes and no; check positive and missing{hint}"
        )


def _few(seen: list[str]) -> str:
    """Distinct values for a message: labels are shown when few and short, else only counted."""
    if len(seen) > 6 or any(len(name) > 24 for name in seen):
        return f"{len(seen)} different values"
    return ", ".join(seen)


def _multiclass(frame: pd.DataFrame, outcome: Outcome, place: str) -> np.ndarray:
    names = class_names(frame[str(outcome.column)], outcome.missing)
    seen = set(names) - {None}
    if len(seen) > _MOST_CLASSES:
        raise InputError(
            f"{place}: {len(seen)} classes, expected at most {_MOST_CLASSES}; "
            "is it a regression, or an identifier?"
        )
    return names


def _ordinal(frame: pd.DataFrame, outcome: Outcome, place: str) -> np.ndarray:
    names = _multiclass(frame, outcome, place)
    seen = set(names) - {None}
    if not outcome.levels and (words := sorted(name for name in seen if not _numeric(name))):
        raise InputError(
            f"{place}: the order of {_few(words)} is not known; "
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


def _count(frame: pd.DataFrame, outcome: Outcome, place: str) -> np.ndarray:
    values = numbers(frame[str(outcome.column)], outcome.missing, place)
    wrong = np.flatnonzero((values < 0) | (values % 1 > 0))
    if len(wrong):
        what = "negative" if values[wrong[0]] < 0 else "a fraction"
        raise InputError(
            f"{place}: {len(wrong)} value(s) are no counts, the first in row {wrong[0] + 1} "
            f"({what}); list codes for unknown under missing, or use kind: regression"
        )
    return values


def _regression(frame: pd.DataFrame, outcome: Outcome, place: str) -> np.ndarray:
    values = numbers(frame[str(outcome.column)], outcome.missing, place)
    negative = np.flatnonzero(values < 0)
    if outcome.transform == "log1p" and len(negative):
        raise InputError(
            f"{place}: {len(negative)} negative value(s), the first in row {negative[0] + 1}, "
            "where log1p expects 0 or more; list codes for unknown under missing, "
            "or set transform: none"
        )
    return values


def _survival(frame: pd.DataFrame, outcome: Outcome, place: str) -> np.ndarray:
    time = numbers(frame[str(outcome.time)], outcome.missing, place)
    column = frame[str(outcome.event)]
    place = f"{place.rpartition(', column ')[0]}, event column {outcome.event}"
    event = _yes_or_no(column, outcome, place)
    _check_times(time, event, outcome, place)
    event[np.isnan(time)] = np.nan
    time = np.where(np.isnan(event), np.nan, time)
    return np.column_stack([time, event])


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
