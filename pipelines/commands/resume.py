"""`careledger resume`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated, Any

import typer

from domains.errors import InputError, Interrupted, Refused
from pipelines.commands.options import AsJson, say


def resume(
    run_id: Annotated[str | None, typer.Argument(help="One run; without it, all of them.")] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Close it and remove its scratch; charges stay.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with training runs that were cut short, each from where it was."""
    from pipelines.life import lives
    from pipelines.run import describe

    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        lives.tidy()
        found = [run_id] if run_id else [dead.run_id for dead in lives.crashed()]
    if not found:
        say("no run was cut short")
    results, failures = [], []
    for each in found:
        try:
            results += _one(each, drop)
        except (InputError, Refused, Interrupted) as error:
            if len(found) == 1:
                raise
            say(f"{each}: {error}")  # the others go on all the same
            failures.append(error)
    for result in () if as_json else results:
        print(describe(result))
    if as_json:
        print(json.dumps(results[0] if run_id and results else results))
    if failures:
        raise failures[0]


def _one(run_id: str, drop: bool) -> list[dict[str, Any]]:
    from pipelines.life import lives

    if drop:
        lives.drop(run_id)
        say(f"{run_id}: dropped; what it was charged stays charged")
        return []
    with redirect_stdout(sys.stderr):
        return [lives.resume(run_id)]
