"""`careledger explain`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import AsJson

if TYPE_CHECKING:
    from pipelines.scoring.explained import Answer, Explained


def explain(
    model: Annotated[
        str, typer.Argument(help="MODEL (its champion), MODEL@alias or MODEL/version.")
    ],
    input_: Annotated[Path, typer.Option("--input", help="CSV or Parquet.")],
    patient: Annotated[str, typer.Option(help="The patient's id, or a row's number, from 1.")],
    id_: Annotated[str | None, typer.Option("--id", help="Column of the patients' ids.")] = None,
    as_json: AsJson = False,
) -> None:
    """What each column adds to the answers to one patient, outcome by outcome (Shapley values)."""
    from pipelines.scoring.explained import explain_patient

    with redirect_stdout(sys.stderr):  # libraries may print; standard output is the answer's
        found = explain_patient(model, Path.cwd() / input_.expanduser(), patient, id_)
    print(json.dumps(asdict(found)) if as_json else _describe(found))


def _describe(found: Explained) -> str:
    lines = [f"{found.model} version {found.version}"]
    for number, answers in enumerate(found.records, 1):
        lines += [f"record {number} of {len(found.records)}"] if len(found.records) > 1 else []
        lines += [line for answer in answers for line in _lines(answer)]
    return "\n".join(lines)


def _lines(answer: Answer) -> list[str]:
    scale = f"{answer.answer}, {answer.scale}"
    width = max(map(len, answer.columns))
    return [
        f"  {scale}: {answer.typical:+.3f} of the typical record, {answer.value:+.3f} of this one",
        *(f"    {name:{width}}  {change:+.3f}" for name, change in answer.columns.items()),
    ]
