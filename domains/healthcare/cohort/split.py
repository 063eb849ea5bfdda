"""Who trains and who is tested: patients by a keyed hash, whole sites, or the latest records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.outcomes.targets import class_names
from domains.splits import assign, held_sites

TEST, LEFT_OUT = "test", "left out"


@dataclass(frozen=True)
class Rule:
    """Who is held out for testing.

    Attributes:
        by: `patient`: a keyed hash of the patient. `site`: all records of some sites. `time`: all
            records from a time on.
        test_sites: The sites; empty for those that a keyed hash draws, at least one.
        test_from: The time, a day or a number; None for that from which the last share begins.
    """

    by: Literal["patient", "site", "time"] = "patient"
    test_sites: tuple[str, ...] = ()
    test_from: float | date | None = None


@dataclass(frozen=True)
class Divided:
    """Part of each record, (n,); what the split depends on beside its key; what to know of it."""

    parts: np.ndarray
    facts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def divide(
    patients: np.ndarray,
    marks: pd.Series | None,
    rule: Rule,
    shares: Mapping[str, float],
    key: bytes,
    where: str,
) -> Divided:
    """Give each record its part; no patient stands in two.

    By site or by time, a patient of whom some records are tested leaves with the others: they are
    `left out`. What is not tested falls on the other parts by the keyed hash of the patient.

    Args:
        patients: Patient of each record, (n,).
        marks: Site or time of each record, (n,); None by patient.
        rule: Who is held out.
        shares: Part → share, `test` among them; together 1.
        key: From `domains.splits.split_key`.
        where: Name of the file, for messages.

    Raises:
        InputError: A record without site or time, or a site that is not there.
    """
    if rule.by == "patient" or marks is None:
        return Divided(assign(patients, shares, key))
    _check_filled(marks, rule, where)
    if rule.by == "site":
        sites = pd.Series(class_names(marks), index=marks.index, name=marks.name)
        column = f"{where}: column {sites.name}"
        held = held_sites(sites, rule.test_sites, shares[TEST], key, column, "record")
        facts = tuple(sorted(set(sites[held])))
    else:
        held, facts = _of_times(marks, rule, shares[TEST], where)
    torn = np.isin(patients, patients[held]) & ~held
    rest = {part: share / (1 - shares[TEST]) for part, share in shares.items() if part != TEST}
    inner = hashlib.blake2b(b"cut from what is not held out", key=key[:64]).digest()
    parts = assign(patients, rest, inner)
    parts[held], parts[torn] = TEST, LEFT_OUT
    return Divided(parts, facts, _notes(rule, held, torn))


def _notes(rule: Rule, held: np.ndarray, torn: np.ndarray) -> tuple[str, ...]:
    what = "whole sites" if rule.by == "site" else "the latest records"
    note = f"Tested are {what}: {held.mean():.0%} of the records."
    if not torn.any():
        return (note,)
    return (
        note,
        f"{int(torn.sum())} record(s) were left out, for other records of their patient are "
        "held out for testing.",
    )


def _check_filled(marks: pd.Series, rule: Rule, where: str) -> None:
    empty = np.flatnonzero(marks.isna())
    if len(empty):
        raise InputError(
            f"{where}: {rule.by} column {marks.name} is empty in {len(empty)} row(s), the first in "
            f"row {empty[0] + 1}; fill it, or let data.split_by be patient"
        )


def _of_times(
    marks: pd.Series, rule: Rule, share: float, where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    times = _times(marks, where)
    start = rule.test_from
    if start is not None and isinstance(start, date) == (times.dtype.kind == "f"):
        kind = "numbers" if times.dtype.kind == "f" else "dates"
        raise InputError(
            f"{where}: time column {marks.name} holds {kind}, and data.test_from does not; "
            f"expected {'a number' if kind == 'numbers' else 'a day like 2020-12-31'}"
        )
    if start is None:
        first = times.sort_values().iloc[int(len(times) * (1 - share))]
    else:
        first = pd.Timestamp(start, tz="UTC") if isinstance(start, date) else start
    return (times >= first).to_numpy(), (str(first),)


def _times(marks: pd.Series, where: str) -> pd.Series:
    """Times as float64 or as timestamps in UTC."""
    if pd.api.types.is_numeric_dtype(marks.dtype):
        return marks.astype(float)
    times = pd.to_datetime(marks, utc=True, errors="coerce", format="ISO8601")
    wrong = np.flatnonzero(times.isna())
    if len(wrong):
        raise InputError(
            f"{where}: time column {marks.name}, row {wrong[0] + 1}: no time ({len(wrong)} such "
            "cell(s)), expected numbers or ISO dates like 2020-12-31"
        )
    return times
