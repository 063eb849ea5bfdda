"""`careledger train`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from domains.errors import InputError, Refused
from pipelines import settings
from pipelines.commands.options import AsJson, Overrides


def train(
    pipeline: Annotated[str, typer.Argument(help="imaging, patients or credit.")],
    config: Annotated[
        Path | None, typer.Option(help="YAML file of the job; default: built-in public data.")
    ] = None,
    scale: Annotated[str | None, typer.Option(help="tiny, small or full (the default).")] = None,
    set_: Overrides = None,
    require_promotion: Annotated[
        bool, typer.Option("--require-promotion", help="Exit 3 when the gate says no.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run one training job: train, compare with controls, register, gate."""
    if pipeline not in settings.CONFIGS:
        raise InputError(f"no pipeline {pipeline!r}; expected one of {', '.join(settings.CONFIGS)}")
    job = settings.load_config(pipeline, config, set_, scale)
    from pipelines.run import describe, run

    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        result = run(pipeline, job)
    print(json.dumps(result) if as_json else describe(result))
    if require_promotion and not result["gate"]["promoted"]:
        raise Refused(f"not promoted: {'; '.join(result['gate']['reasons'])}")
