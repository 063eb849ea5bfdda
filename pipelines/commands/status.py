"""`careledger status`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domains.errors import InputError
from pipelines.commands.options import AsJson, say

if TYPE_CHECKING:
    from pipelines.status.snapshot import Snapshot


def status(
    as_json: AsJson = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Write it as one HTML file, here and as status.html in the home folder."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Exit 1 when something needs a person: no champion, a crash, a last run that "
            "failed or was refused, an input that was not scored, a file in an inbox of a kind "
            "that never is, a budget that pays for no further run, a service "
            "that is down, a late schedule, notifications that nobody takes, a full disk.",
        ),
    ] = False,
) -> None:
    """What ran, what failed and why, which version serves, budgets left, what runs next.

    Exits 0 whatever it finds, unless --check is given.
    """
    from pipelines.status import needs, snapshot, text, values

    seen = snapshot.take()
    if html is not None:
        _write(seen, html)
    if as_json:
        print(json.dumps(values.as_json(seen)))
    else:
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        print(text.tell(seen, width, colours=terminal))
    if check and needs.people(seen):
        raise typer.Exit(1)


def _write(seen: Snapshot, html: Path) -> None:
    """The page where it was asked for and in the home, which may be the same place or read-only."""
    from pipelines.status import page

    try:
        page.write(seen, html.resolve())
    except OSError as error:
        raise InputError(f"{html}: cannot be written ({error.strerror})") from None
    try:
        page.write(seen, Path(seen.home) / "status.html")
    except OSError as error:
        say(f"{seen.home}/status.html: not written ({error.strerror})")
