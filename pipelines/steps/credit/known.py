"""Whose records a private file brings, told by keyed fingerprints that stay in the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from domains.banking.census import LoanTable, with_client
from domains.errors import InputError
from domains.tables import column_names, read_table
from pipelines.settings import home_key
from privacy.fingerprints import Records, owner_fingerprints, records, row_fingerprints


def records_of(table: LoanTable, owners: tuple[str, ...]) -> Mapping[str, Records]:
    """Fingerprints of each owner's records, all that the file holds of them.

    Fields are taken as they are spelled: a type that is found for a column depends on all of its
    rows. Nothing else is taken from the records, and nothing of it leaves the ledger but that more
    records than chance has it are known under another name.

    Raises:
        InputError: An owner has no row, because the file was changed since its owners were counted.
    """
    frame = read_table(table.path, as_text=column_names(table.path))
    if table.lender is None:
        return {table.name: records(row_fingerprints(frame, home_key()))}
    lenders = read_table(table.path, [table.lender])[table.lender]
    names = table.name + "/" + with_client(table, lenders)
    if len(names) != len(frame):
        raise InputError(_changed(table))
    found = owner_fingerprints(frame, home_key(), table.lender, names)
    if missing := set(owners) - set(found):
        raise InputError(f"{_changed(table)} ({len(missing)} of its owners have no row)")
    return {owner: found[owner] for owner in owners}


def _changed(table: LoanTable) -> str:
    return f"{table.path}: changed while it was read; start again once it is whole"
