"""What private columns are: as declared, or as the owners' noised votes say; never as they look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from domains.banking.cells import kinds_of, typed
from domains.banking.census import LoanTable
from domains.banking.credit import Loans
from domains.banking.features import Categorical, Feature, Numeric, Untyped
from domains.errors import InputError
from pipelines.progress import say
from pipelines.steps.credit.charge import Charged
from privacy.voting import elected, noised_votes


def elect(
    charged: Charged, owned: Sequence[pd.DataFrame], features: Sequence[Feature | Untyped]
) -> tuple[Feature, ...]:
    """The features with the types that the owners' noised votes give to undeclared columns; what
    is voted a date is left out.

    Raises:
        InputError: Nothing but dates is left; the vote was noised, and so the charge stands.
    """
    names = [each.column for each in features if isinstance(each, Untyped)]
    kinds: dict[str, str] = {}
    if names and charged.plan:
        held = [pd.DataFrame({name: kinds_of(each[name]) for name in names}) for each in owned]
        kinds = elected([noised_votes(each, charged.plan) for each in held])
        told = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        say(f"undeclared columns, by a noised vote of the records: {told}")
    made = [_of_kind(each, kinds) if isinstance(each, Untyped) else each for each in features]
    if not any(made):
        raise InputError(f"{charged.table.path}: the records vote every column a date; declare one")
    return tuple(each for each in made if each is not None)


def _of_kind(column: Untyped, kinds: dict[str, str]) -> Feature | None:
    name, kind = column.column, kinds[column.column]
    if kind == "date":
        return None
    return Numeric(name) if kind == "number" else Categorical(name)


def as_typed(charged: Charged, loans: Loans, features: Sequence[Feature]) -> Loans:
    """Private fields as what their columns are. How many spell no number where one is expected is
    for whoever has the file to read on the terminal, and is written nowhere: where standard error
    is none, as in a scheduled run whose lines are kept, nothing is said."""
    if charged.table.public:
        return loans
    frame = typed(loans.frame, [*features, *_further(charged, loans, features)])
    numbers = [each.column for each in features if isinstance(each, Numeric)]
    odd = {name: int((frame[name].isna() & loans.frame[name].notna()).sum()) for name in numbers}
    told = ", ".join(f"{name} {count}" for name, count in odd.items() if count)
    if told and sys.stderr.isatty():
        say(f"fields that spell no number, taken as empty: {told}")
    return replace(loans, frame=frame)


def declared(table: LoanTable, column: str) -> str | None:
    """`number` or `category`, as bounds, categories or data.types say of a column; else None."""
    if column in table.bounds:
        return "number"
    return "category" if column in table.categories else table.types.get(column)


def _further(charged: Charged, loans: Loans, features: Sequence[Feature]) -> list[Feature]:
    """Declared columns that are no features: numbers, and protected ones of either kind."""
    table, known = charged.table, {each.column for each in features}
    names = {*table.types, *table.bounds, *table.categories} - known
    made: list[Feature] = []
    for name in sorted(names & {*loans.frame.columns}):
        kind = declared(table, name)
        if kind == "number":
            made.append(Numeric(name))
        elif name in table.protected:
            made.append(Categorical(name))
    return made
