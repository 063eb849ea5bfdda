"""`careledger audit`."""

from __future__ import annotations

import gc
import json
from typing import Annotated

import typer

from pipelines.commands.options import AsJson


def audit(
    run: Annotated[str, typer.Argument(help="Id of a run, or MODEL, MODEL@alias, MODEL/version.")],
    as_json: AsJson = False,
) -> None:
    """Attack what a private run promised: its plan and code again, on made-up records.

    Reads no real record and spends nothing. An audit on real records would be a job that their
    owners are charged for, and is not offered. Exit 1 when the promise does not hold.
    """
    gc.disable()  # what is imported stays: to look through it for rubbish doubles the time
    from pipelines.auditing.audit import audit as examine
    from pipelines.auditing.audit import describe

    gc.freeze()
    gc.enable()
    found = examine(run)
    print(json.dumps(found.to_json()) if as_json else describe(found))
    if not found.passed:
        raise typer.Exit(1)
