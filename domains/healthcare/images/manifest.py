"""Images listed in a CSV file, with their labels and whatever else is known of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.images.draft import Draft, Item
from domains.healthcare.images.intake import Intake, from_items
from domains.healthcare.images.parts import GIVEN
from domains.healthcare.images.table import check_header, read_rows
from domains.tables import shown

_WHOLE = re.compile(r"(?<=\d)\.0*$")
_SEPARATED = "; expected commas between the cells"
_YES = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "false": 0, "no": 0}


@dataclass(frozen=True)
class Columns:
    """Names of a manifest's columns; None where there is none.

    Attributes:
        image: Path of the file, or of the folder of a series.
        labels: One column of class names, or several of 0 and 1.
        patient, site: Who and where.
        time: When, as an ISO date.
        more: Further columns to keep, as text; cells may be empty.
        split: Which part.
        slice: Number of the slice that a row is about.
        classes: Class names in order; empty for those that occur, sorted.
    """

    image: str = "path"
    labels: tuple[str, ...] = ("label",)
    patient: str | None = None
    site: str | None = None
    time: str | None = None
    split: str | None = None
    slice: str | None = None
    more: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


AS_NAMED = Columns()
"""Columns by their usual names."""

_RESERVED = {"id", "group", "cluster", "part", "given"}
_OWN = {"id", "patient", "group", "cluster", "part", "label", "given", "time"}


def read_manifest(path: Path, columns: Columns, intake: Intake) -> Draft:
    """Images listed in a CSV file; paths in it are relative to the file's own folder.

    Several label columns hold 1 or 0 (or yes, no, true, false) each, and an image may have any
    number of the labels. A row whose label is not among the declared classes is set aside.

    Raises:
        InputError: The file is missing or empty, a column is missing or stands twice, a row has
            no label, no patient, or an unknown part, time, slice number or label, a class is
            spelled in two ways, or there is one class only.
    """
    table = _table(path, columns)
    records = pd.DataFrame({"id": table[columns.image]})
    records["patient"] = table[columns.patient] if columns.patient else records["id"]
    classes, wrong = _labelled(records, table, columns, path)
    if columns.split:
        records["given"] = _given(table[columns.split], path)
    if columns.time:
        records["time"] = _times(table[columns.time], columns.time, path)
    if columns.site:
        records["site"] = table[columns.site]
    for name in columns.more:
        if name not in _OWN:
            records[name] = table[name]
    return from_items(
        path,
        _items(path, table, columns, set(wrong)),
        records,
        classes,
        intake,
        wrong,
        named=columns.patient is not None,
        multilabel=len(columns.labels) > 1,
    )


def _table(path: Path, columns: Columns) -> pd.DataFrame:
    table = read_rows(path)
    for key, name in _named(columns):
        if name not in table:
            raise InputError(
                f"{path}: no column {name!r} (data.{key}); there are: {shown(list(table.columns))}"
                f"{_SEPARATED if len(table.columns) == 1 else ''}"
            )
    taken = [name for name in columns.more if _clashes(name, columns)]
    if taken:
        raise InputError(
            f"{path}: column {taken[0]!r} (slices) has a name that images' records use themselves; "
            "rename it"
        )
    check_header(table, path)  # asked late: names that were found are a header, not a record
    for key, name in _named(columns):
        blank = np.flatnonzero(table[name] == "")
        if len(blank) and key != "slices":
            raise InputError(
                f"{_at(path, table, blank[0])}: column {name!r} is empty; fill it, or "
                "remove the row"
            )
    keys = [columns.image]
    if columns.slice:
        table[columns.slice] = _numbers(table[columns.slice], path)
        keys.append(columns.slice)
    repeated = np.flatnonzero(table[keys].duplicated())
    if len(repeated):
        raise InputError(
            f"{_at(path, table, repeated[0])}: column {columns.image!r} names an image that "
            "stands above already; keep one of the rows"
        )
    return table


def _clashes(name: str, columns: Columns) -> bool:
    """Whether records call something else than this column by its name: there each is known once,
    and a column `site` must not stand where `hospital` says the site."""
    roles = {"patient": columns.patient, "time": columns.time, "label": columns.labels[0]}
    if columns.site:
        roles["site"] = columns.site
    return (
        name in _RESERVED
        or name.startswith(("size_", "is_"))
        or (name in roles and roles[name] != name)
    )


def _at(path: Path, rows: pd.DataFrame | pd.Series, place: int) -> str:
    """Where a record stands in the file."""
    return f"{path}, row {rows.index[place]}"


def _named(columns: Columns) -> list[tuple[str, str]]:
    """Configuration key and name of every column asked for."""
    keys = ("image", "patient", "site", "time", "split", "slice")
    found = [(key, getattr(columns, key)) for key in keys]
    named = [(key, name) for key, name in found if name]
    labels = [("label", name) for name in columns.labels]
    return [*named, *labels, *(("slices", name) for name in columns.more)]


def _labelled(
    records: pd.DataFrame, table: pd.DataFrame, columns: Columns, path: Path
) -> tuple[tuple[str, ...], dict[int, tuple[str, str]]]:
    """Add the labels to the records; returns the classes, and the rows that have another one."""
    if len(columns.labels) > 1:
        for name in columns.labels:
            records[f"is_{name}"] = _yes_or_no(table[name], path)
        return columns.labels, {}
    values = table[columns.labels[0]]
    classes = columns.classes or tuple(sorted(values.unique()))
    if values.nunique() < 2:
        raise InputError(
            f"{path}, column {columns.labels[0]!r}: every label is {values.iloc[0]!r}, expected at "
            "least two classes"
        )
    if not columns.classes:
        _check_spelling(values, path)
    numbers = values.map({name: number for number, name in enumerate(classes)})
    other = np.flatnonzero(numbers.isna())
    records["label"] = numbers.fillna(-1).astype(int)
    reason = "its label is not among data.classes"
    return classes, {int(row): (str(table[columns.image].iloc[row]), reason) for row in other}


def _check_spelling(values: pd.Series, path: Path) -> None:
    """Raise InputError where a class seems to be spelled in two ways, as 1 and 1.0, or Yes and yes.

    Whoever means two classes says so by naming them in order.
    """
    first: dict[str, str] = {}
    for row, value in values.items():
        known = first.setdefault(_WHOLE.sub("", value).casefold(), value)
        if known != value:
            raise InputError(
                f"{path}, row {row}: column {values.name!r} spells a class {value!r}, and another "
                f"row {known!r}; spell it one way, or list both in data.classes"
            )


def _yes_or_no(values: pd.Series, path: Path) -> pd.Series:
    found = values.str.lower().map(_YES)
    unknown = np.flatnonzero(found.isna())
    if len(unknown):
        raise InputError(
            f"{_at(path, values, unknown[0])}: column {values.name!r} is one of several labels, "
            "expected 1 or 0 in it"
        )
    return found.astype(np.int8)


def _given(values: pd.Series, path: Path) -> pd.Series:
    parts = values.str.lower().map(GIVEN)
    unknown = np.flatnonzero(parts.isna())
    if len(unknown):
        raise InputError(
            f"{_at(path, values, unknown[0])}: column {values.name!r} says "
            f"{values.iloc[unknown[0]]!r}, expected train, validation, calibration or test"
        )
    return parts


def _times(values: pd.Series, name: str, path: Path) -> pd.Series:
    times = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
    unknown = np.flatnonzero(times.isna())
    if len(unknown):
        raise InputError(
            f"{_at(path, values, unknown[0])}: column {name!r} holds no ISO date, expected "
            "2024-03-31 or 20240331"
        )
    return times


def _numbers(values: pd.Series, path: Path) -> pd.Series:
    """Numbers of slices, spelled alike."""
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() | (numbers < 0) | (numbers % 1 != 0))
    if len(wrong):
        raise InputError(
            f"{_at(path, values, wrong[0])}: column {values.name!r} holds no number of a slice, "
            "expected 0, 1, …"
        )
    return numbers.astype(int).astype(str)


def _items(path: Path, table: pd.DataFrame, columns: Columns, without: set[int]) -> list[Item]:
    """A file for every row, or for all rows that are about its slices."""
    files = table[columns.image]
    if columns.slice is None:
        return [
            Item(path.parent / name, (row,)) for row, name in enumerate(files) if row not in without
        ]
    numbers = table[columns.slice]
    by_file: dict[str, list[int]] = {}
    for row, name in enumerate(files):
        if row not in without:
            by_file.setdefault(name, []).append(row)
    return [
        Item(path.parent / name, tuple(rows), tuple(int(numbers.iloc[row]) for row in rows))
        for name, rows in by_file.items()
    ]
