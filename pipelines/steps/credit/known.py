"""Whose records a private file brings, told by keyed fingerprints that stay in the ledger."""

from __future__ import annotations

from collections.abc import Mapping

from domains.banking.census import LoanTable
from domains.banking.features import labels
from domains.tables import read_table
from pipelines.settings import home_key
from privacy.fingerprints import Records, owner_fingerprints, records, row_fingerprints


def records_of(table: LoanTable, owners: tuple[str, ...]) -> Mapping[str, Records]:
    """Fingerprints of each owner's records, all that the file holds of them.

    Nothing else is taken from the records, and nothing of it leaves the ledger but a number of
    records that somebody else was charged for.
    """
    frame = read_table(table.path)
    if table.lender is None:
        return {table.name: records(row_fingerprints(frame, home_key()))}
    names = table.name + "/" + labels(frame[table.lender])
    found = owner_fingerprints(frame, home_key(), table.lender, names)
    return {owner: found.get(owner, ()) for owner in owners}
