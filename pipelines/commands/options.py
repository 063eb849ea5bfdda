"""Options that several commands share."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Last line of output is one JSON value.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="key.path=value, may be repeated; docs/configuration.md has every key."
    ),
]


def say(text: str) -> None:
    """Progress goes to standard error: standard output is the answer's."""
    print(text, file=sys.stderr)
