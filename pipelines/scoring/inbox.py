"""What a schedule finds to score: the inputs of a folder that were not scored as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from domains.errors import InputError
from pipelines.progress import say
from pipelines.scoring.output import KINDS
from pipelines.scoring.seen import Scored

ACCEPTED = f"{', '.join(KINDS)}, or a folder of images"


@dataclass(frozen=True)
class Found:
    """What lies in an inbox.

    Attributes:
        pairs: Every input and its output, by name.
        passed_over: Files of other kinds, which are never scored.
    """

    pairs: list[tuple[Path, Path]]
    passed_over: list[Path]


def look(inbox: Path, outbox: Path) -> Found:
    """What lies in an inbox, scored or not.

    A table or a manifest goes to a file of its own name, a sub-folder of images to `FOLDER.csv`.
    A sub-folder beside a manifest of the same stem is the manifest's. Hidden files are left out, so
    whoever delivers a file may write it under a hidden name and rename it when it is complete.

    Raises:
        InputError: `inbox` is no folder.
    """
    try:
        entries = sorted(path for path in inbox.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{inbox}: cannot be listed ({error.strerror})") from None
    tables = {path: stem for path in entries if path.is_file() and (stem := _stem(path))}
    stems = set(tables.values())
    folders = [path for path in entries if path.is_dir() and path.name not in stems]
    pairs = [(path, outbox / path.name) for path in tables]
    pairs += [(path, outbox / f"{path.name}.csv") for path in folders]
    passed_over = [path for path in entries if path.is_file() and path not in tables]
    return Found(sorted(pairs), passed_over)


def waiting(inbox: Path, outbox: Path) -> list[tuple[Path, Path]]:
    """Pairs of input and output, by name, of what is not scored yet.

    An input whose content is another one than that which was scored is scored again, whatever its
    times say. Files of other kinds are passed over, which is said.

    Raises:
        InputError: `inbox` is no folder.
    """
    found, scored = look(inbox, outbox), Scored()
    if found.passed_over:
        say(f"{inbox.name}: {len(found.passed_over)} file(s) passed over, expected {ACCEPTED}")
    return [pair for pair in found.pairs if not scored.unchanged(*pair)]


def _stem(path: Path) -> str | None:
    """Name without the suffix of a table; None where it has another one."""
    name = path.name
    return next((name[: -len(kind)] for kind in KINDS if name.lower().endswith(kind)), None)
