"""What a built-in study says of itself, so that one configuration key trains on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from domains.healthcare.cohort.schema import Range
from domains.healthcare.outcomes.spec import Outcome


@dataclass(frozen=True)
class Study:
    """A study of patients that the sources hold.

    Attributes:
        name: What configurations call it, and the source of its first table.
        patient: Column of the patient id.
        outcomes: What is predicted unless a configuration says otherwise.
        never: Columns of the tables that are never features, whichever outcomes are asked for,
            and why.
        predicted: When predictions are made, in words.
        further: Sources of its further tables.
        rows: Makes one row a patient from the tables, in the order of `sources`.
        ranges: What columns of the tables may hold.
        groups: Sex, age, race and the like: the feature that results are told apart by.
        codes: Of such a feature that holds codes: what each one means.
    """

    name: str
    patient: str
    outcomes: tuple[Outcome, ...]
    never: Mapping[str, str]
    predicted: str
    further: tuple[str, ...] = ()
    rows: Callable[[Sequence[pd.DataFrame]], pd.DataFrame] = lambda tables: tables[0]
    ranges: Mapping[str, Range] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of its tables, keys of `domains.sources.SOURCES`."""
        return (self.name, *self.further)


def because(reason: str, *columns: str) -> dict[str, str]:
    """The same reason for several columns."""
    return dict.fromkeys(columns, reason)
