"""`careledger score`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from domains.errors import InputError
from pipelines.commands.options import AsJson
from pipelines.settings import ScoreConfig, writable_home


def score(
    model: Annotated[
        str, typer.Argument(help="MODEL (its champion), MODEL@alias or MODEL/version.")
    ],
    input_: Annotated[
        Path, typer.Option("--input", help="CSV, Parquet, folder or manifest of images.")
    ],
    output: Annotated[Path, typer.Option(help="FILE.csv, .csv.gz or .parquet.")],
    id_: Annotated[str | None, typer.Option("--id", help="Column of the rows' ids.")] = None,
    image: Annotated[str | None, typer.Option(help="Manifest column of image files.")] = None,
    chunk: Annotated[int | None, typer.Option(help="Rows a piece.", min=1)] = None,
    reasons: Annotated[
        bool,
        typer.Option(
            "--reasons", help="Reasons of a net, of trees or of patients; a scorecard has them."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score a file: one row a row; run again after a crash, it goes on where it stopped."""
    try:
        config = ScoreConfig(
            model=model,
            input=_seen(input_),
            output=_seen(output),
            id=id_,
            image=image,
            reasons=reasons,
            chunk=chunk,
        )
    except ValidationError:
        raise InputError(f"model {model!r}: expected MODEL, MODEL@alias or MODEL/version") from None
    writable_home()
    from pipelines.scoring.batch import score_file

    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        result = score_file(config)
    print(json.dumps(result) if as_json else _describe(result))


def _seen(path: Path) -> Path:
    """Seen from here, and not from wherever a library moves to."""
    return Path.cwd() / path.expanduser()


def _describe(result: dict[str, Any]) -> str:
    model = result["model"]
    lines = [
        f"{model['name']} version {model['version']}: {result['scored']:,} of {result['rows']:,} "
        f"rows scored in {result['seconds']:.1f} s",
        f"  output    {result['output']}",
    ]
    if result["rejects"]:
        lines.append(f"  rejected  {result['rejected']:,} rows, see {result['rejects']}")
    lines += [f"  warning   {warning}" for warning in result["warnings"]]
    return "\n".join(lines)
