"""What may be told of loans and their clients: schema and public numbers, whatever records say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from domains.banking.census import LoanTable
from domains.banking.credit import LEFT, PARTS, Loans
from domains.banking.features import Feature, Numeric
from domains.dataset import Dataset, digest_file
from domains.sources import find
from pipelines.settings import home_key
from pipelines.steps.credit.charge import Charged

_NAMED = 10
_UNTOLD = (
    "Only loans approved within the configured dates train, and how many these are is not told: "
    "noise and weights go by the owners' public numbers of all records in the file."
)


def dataset_of(charged: Charged, loans: Loans, features: Sequence[Feature]) -> Dataset:
    """The loans as a run names them."""
    table = charged.table
    builtin = table.features is not None
    source = find(table.name) if builtin else None
    return Dataset(
        name=table.name,
        path=table.path,
        digest=digest_file(table.path, None if table.public else home_key()),
        rows=len(loans.frame) if table.public else charged.census.records,
        columns=_schema(charged, loans.frame, features),
        public=table.public,
        unit="borrower" if table.borrower else "row",
        licence=source.licence if source else "as its owner states",
        provenance=source.provenance if source else "a file of the user's own",
        notes=(*loans.notes, *([_UNTOLD] if _dates_cut(table) else [])),
    )


def split_of(loans: Loans, charged: Charged, told: bool) -> dict[str, dict[str, int]]:
    """Records and borrowers of each part.

    Of private records that train only their number is told: what the held-out ones leave of the
    owners' public numbers. Those depend on the records through their keyed hash; where nothing of
    them is released either, the public numbers are all there is. Where dates cut, the difference of
    the numbers under two windows would count the records between them: then not even the number of
    those that train is told, nor that of later ones that are left out.

    Args:
        loans: The records.
        charged: Whose public numbers they are.
        told: Whether numbers from held-out records may leave their owner.
    """
    whole = charged.census.records
    if not told:
        return {"all": {"records": whole}}
    frame = pd.DataFrame({"part": loans.part, "group": loans.group})
    counted = frame.groupby("part", sort=False)["group"].agg(["size", "nunique"])
    split = {
        str(part): {"records": int(row["size"]), "groups": int(row["nunique"])}
        for part, row in counted.iterrows()
    }
    if charged.table.public:
        return split
    held = {part: split[part] for part in sorted(split) if part not in ("train", LEFT)}
    if _dates_cut(charged.table):
        return {"train": {}, **held}
    left = whole - sum(counts["records"] for counts in held.values())
    return {"train": {"records": left}, **held}


def _dates_cut(table: LoanTable) -> bool:
    """Whether private dates say which records take part or train."""
    return not table.public and (table.approved is not None or table.later is not None)


def faint(charged: Charged) -> list[str]:
    """A sentence on the clients whose noise is larger than all their records together, if any.

    In each step a client's records add up to a gradient of at most (records that join) · C, and
    its noise has the standard deviation σ · C in every coordinate: both public.
    """
    plan, sizes = charged.plan, charged.census.sizes
    if plan is None:
        return []
    least = plan.noise_multiplier / (PARTS["train"] * plan.sampling_rate)
    few = {name: size for name, size in sizes.items() if size < least}
    if not few:
        return []
    named = ", ".join(f"{name} ({size})" for name, size in list(few.items())[:_NAMED])
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return [
        f"Of {len(sizes)} clients, {len(few)} hold fewer than {least:.0f} records: the noise on "
        "each step of theirs is larger than all their records can say, so they add little but "
        f"noise to the model: {named}{more}."
    ]


def _schema(
    charged: Charged, frame: pd.DataFrame, features: Sequence[Feature]
) -> tuple[tuple[str, str], ...]:
    """Names and types of the columns; of private ones as the run takes them, not as stored."""
    if charged.table.public:
        return tuple((str(name), _kind(held)) for name, held in frame.dtypes.items())
    kinds: Mapping[Any, str] = {
        each.column: "number" if isinstance(each, Numeric) else "text" for each in features
    }
    known = {charged.table.date: "date", **kinds}
    return tuple((str(name), known.get(name, "not used")) for name in frame.columns)


def _kind(held: Any) -> str:
    """`number`, `date` or `text`, which is the schema; how a column is stored is not."""
    if pd.api.types.is_datetime64_any_dtype(held):
        return "date"
    number = pd.api.types.is_numeric_dtype(held) and not pd.api.types.is_bool_dtype(held)
    return "number" if number else "text"
