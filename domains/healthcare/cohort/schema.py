"""What columns may hold, as pandera schemas: declared ranges, or inferred from training records.

Pandera (https://pandera.readthedocs.io) says which cells and columns fail; here they become one
line that repeats no cell. It takes half a second to import, and so it is imported when used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from domains.errors import InputError
from domains.healthcare.cohort.features import Category, Encoder
from domains.healthcare.outcomes.targets import class_names, numbers
from domains.table_file import Records

if TYPE_CHECKING:
    from pandera.pandas import Column, DataFrameSchema

_FEWEST = 10
_TIMES = 5.0
_UNKNOWN = 0.9
_BODY = (2.54, 2.2046)  # inches for centimetres, kilograms for pounds, and the other way round
_NARROW, _CLOSE, _APART = 0.5, 1.1, 1.35


class Range(NamedTuple):
    """What a column of numbers may hold, bounds included, and its unit."""

    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.low:,g} to {self.high:,g}" + (f" {self.unit}" if self.unit else "")


def check_ranges(frame: Records, ranges: Mapping[str, Range], where: str) -> None:
    """Raise InputError for the first number out of its range; columns that are not there pass.

    Args:
        frame: Raw records.
        ranges: Column → what it may hold; cells may be empty.
        where: Name of the file, for messages.
    """
    import pandera.pandas as pa

    for name in (name for name in ranges if name in frame):
        values = numbers(frame[name], (), f"{where}: column {name}")
        check = pa.Check.in_range(*ranges[name][:2])
        schema = pa.DataFrameSchema({name: pa.Column(float, check, nullable=True)})
        failures = _failures(pd.DataFrame({name: values}), schema)
        if len(failures):
            raise InputError(_out_of_range(failures, name, values, ranges[name], where))


def _out_of_range(
    failures: pd.DataFrame, name: str, values: np.ndarray, held: Range, where: str
) -> str:
    row = int(failures["index"].iloc[0])
    side = "above" if values[row] > held.high else "below"
    return (
        f"{where}: row {row + 1}, column {name}: a number {side} the range ({len(failures)} "
        f"cell(s) of this column are out of it), expected {held}; is it another unit, or a code "
        "for unknown? correct the cell, or leave it empty"
    )


def inferred(
    encoder: Encoder, training: Records, differing: Collection[str] = ()
) -> DataFrameSchema:
    """What a further file must look like to be judged by a model: schema of its features.

    Its columns are those of training and no others. A number's median and spread lie within a
    factor of five of training's, both of them, and its median within training's range: other
    units move them further. Where numbers lie close together, as sizes of a body do, inches for
    centimetres and pounds for kilograms are told too. Of a category, more than one in ten cells is
    a level of training.

    Args:
        encoder: Fitted on the training records.
        training: Their features.
        differing: Columns that may hold numbers on another scale, or other categories.
    """
    import pandera.pandas as pa

    columns = {}
    for feature in encoder.features:
        known = feature.name not in differing
        make = _category if isinstance(feature, Category) else _number
        columns[feature.name] = (
            make(feature.name, training[feature.name]) if known else pa.Column(nullable=True)
        )
    return pa.DataFrameSchema(columns, strict=True)


def check_like(frame: pd.DataFrame, schema: DataFrameSchema, where: str) -> None:
    """Raise InputError when a file's features are not what `inferred` expects.

    Args:
        frame: Features of the further file, raw.
        schema: From `inferred`.
        where: Name of the file, for messages.
    """
    failures = _failures(frame, schema)
    if not len(failures):
        return
    missing = _named(failures, "column_in_dataframe")
    extra = _named(failures, "column_in_schema")
    if missing or extra:
        raise InputError(f"{where}: {_columns(missing, extra, len(schema.columns))}")
    first = failures.iloc[0]
    row = "" if pd.isna(first["index"]) else f": row {int(first['index']) + 1}"
    others = sorted(set(failures["column"].astype(str)) - {str(first["column"])})
    also = f" (and so do {_listed(others)})" if others else ""
    raise InputError(
        f"{where}: column {first['column']}{row} {first['check']}{also}; bring the file to the "
        "data's units and codes, or list the column under test.differing"
    )


def _failures(frame: pd.DataFrame, schema: DataFrameSchema) -> pd.DataFrame:
    from pandera.errors import SchemaErrors

    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        return errors.failure_cases
    return pd.DataFrame()


def _named(failures: pd.DataFrame, check: str) -> list[str]:
    return sorted(failures.loc[failures["check"] == check, "failure_case"].astype(str))


def _columns(missing: Sequence[str], extra: Sequence[str], needed: int) -> str:
    strange = f"{len(extra)} column(s) are not in the data: {_listed(extra)}"
    if not missing:
        return f"{strange}; take them out, or list them under test.exclude"
    found = f"{len(missing)} of {needed} needed columns are missing: {_listed(missing)}"
    return (
        f"{found}{f', and {strange}' if extra else ''}; give every column the model was trained "
        "on, empty where unknown"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _category(name: str, training: pd.Series) -> Column:
    import pandera.pandas as pa

    levels = set(class_names(training)) - {None}

    def known(column: pd.Series) -> bool:
        names = pd.Series(class_names(column)).dropna()
        return len(names) < _FEWEST or bool((~names.isin(levels)).mean() < _UNKNOWN)

    said = "holds categories of which the data have hardly any: is it coded otherwise?"
    return pa.Column(checks=pa.Check(known, error=said), nullable=True, name=name)


def _number(name: str, training: pd.Series) -> Column:
    import pandera.pandas as pa

    there = _Scale.of(numbers(training, (), name))

    def alike(column: pd.Series) -> bool:
        return bool(_text(column).any()) or _Scale.of(numbers(column, (), name)).like(there)

    said = "holds numbers on another scale than the data's: is it another unit?"
    checks = [
        pa.Check(lambda column: ~_text(column), error="holds text, expected a number"),
        pa.Check(alike, error=said),
    ]
    return pa.Column(checks=checks, nullable=True, name=name)


def _text(column: pd.Series) -> pd.Series:
    """Which cells are neither empty nor a number, (n,) bool."""
    names = pd.Series(class_names(column), index=column.index)
    return names.notna() & pd.to_numeric(names, errors="coerce").isna()


@dataclass(frozen=True)
class _Scale:
    """What tells of a column's unit."""

    count: int
    distinct: int
    low: float = 0.0
    high: float = 0.0
    middle: float = 0.0
    spread: float = 0.0

    @staticmethod
    def of(values: np.ndarray) -> _Scale:
        """Of numbers, NaN where missing."""
        values = values[~np.isnan(values)]
        if not len(values):
            return _Scale(0, 0)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return _Scale(
            len(values),
            len(np.unique(values)),
            float(values.min()),
            float(values.max()),
            float(middle),
            float(high - low),
        )

    def like(self, there: _Scale) -> bool:
        """Whether this may be of the other's unit; few values or few kinds always may."""
        if min(self.count, there.count, there.distinct) < _FEWEST:
            return True
        if not there.low <= self.middle <= there.high:
            return False
        if min(self.spread, there.spread) <= 0 or self.middle * there.middle <= 0:
            return True
        factors = np.array([self.middle / there.middle, self.spread / there.spread])
        if there.spread < _NARROW * there.middle and _of_bodies(factors):
            return False
        return not ((factors > _TIMES).all() or (factors < 1 / _TIMES).all())


def _of_bodies(factors: np.ndarray) -> bool:
    """Whether median and spread both moved as by another unit of length or weight."""
    moved = np.abs(np.log(factors))
    same = np.sign(np.log(factors)).prod() > 0
    off = [np.abs(moved - np.log(unit)) < np.log([_CLOSE, _APART]) for unit in _BODY]
    return bool(same and any(each.all() for each in off))
