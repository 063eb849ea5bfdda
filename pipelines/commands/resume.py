"""`careledger resume`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, say


def resume(
    run_id: Annotated[str | None, typer.Argument(help="One run; without it, all of them.")] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="Close it and remove its scratch; charges stay.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with training runs that were cut short, each from where it was."""
    from pipelines import lives
    from pipelines.run import describe

    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        lives.tidy()
        found = [run_id] if run_id else [dead.run_id for dead in lives.crashed()]
    if not found:
        say("no run was cut short")
    results = []
    for each in found:
        if drop:
            lives.drop(each)
            say(f"{each}: dropped; what it was charged stays charged")
            continue
        with redirect_stdout(sys.stderr):
            results.append(lives.resume(each))
        if not as_json:
            print(describe(results[-1]))
    if as_json:
        print(json.dumps(results[0] if run_id and results else results))
