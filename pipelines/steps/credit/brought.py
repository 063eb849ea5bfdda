"""The file that a private run was charged for, told from any other by a keyed digest.

Whose records a file holds is found out once, as the run is charged. A process that takes the run up
later reads the file again, and another file in its place would train unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from domains import durable
from domains.banking.census import LoanTable
from domains.dataset import digest_file
from domains.errors import InputError, Waiting
from pipelines.settings import home_key, open_ledger
from pipelines.steps.credit.known import records_of
from pipelines.tracking import Job
from privacy.fingerprints import Records


def remember_file(job: Job, table: LoanTable) -> None:
    """Write down which file is about to be charged for; the digest is on disk before the charge.

    Raises:
        Waiting: The run was charged for another file already, by an earlier process.
    """
    if table.public:
        return
    if open_ledger().standing(job.run_id) != "unknown":
        check_file(job, table)
    elif table.path.is_file():  # that there is none is told by who reads it
        durable.write(_kept(job), digest_file(table.path, home_key()))


def brought(job: Job, table: LoanTable, owners: tuple[str, ...]) -> Mapping[str, Records]:
    """Fingerprints of each owner's records in the very file that `remember_file` has written down.

    Raises:
        InputError: It was exchanged meanwhile; nobody is charged.
    """
    found = records_of(table, owners)
    if not _is_the_same(job, table.path):
        raise InputError(f"{table.path}: changed while it was read; start again once it is whole")
    return found


def check_file(job: Job, table: LoanTable) -> None:
    """Nothing of another file is read.

    Raises:
        Waiting: The file of private records is gone, or not the one that the run was charged for;
            the charge stands until that one is back, or the run is dropped.
    """
    if table.public or _is_the_same(job, table.path):
        return
    again = f"careledger resume {job.run_id}"
    raise Waiting(
        f"{table.path.name}: expected the file that run {job.run_id} was charged for, found "
        f"another or none; put that one back; to allow it: {again} "
        f"(or drop the run: `{again} --drop`)"
    )


def _is_the_same(job: Job, path: Path) -> bool:
    kept = _kept(job)
    if not (kept.is_file() and path.is_file()):
        return False
    return kept.read_text(encoding="utf-8") == digest_file(path, home_key())


def _kept(job: Job) -> Path:
    return job.folder / "charged-file"
