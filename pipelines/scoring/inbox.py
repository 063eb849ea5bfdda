"""What a schedule finds to score: the inputs of a folder that are newer than their outputs."""

from __future__ import annotations

from pathlib import Path

from domains.errors import InputError
from pipelines.progress import say
from pipelines.scoring.output import KINDS


def waiting(inbox: Path, outbox: Path) -> list[tuple[Path, Path]]:
    """Pairs of input and output, by name.

    A table or a manifest goes to a file of its own name, a sub-folder of images to `FOLDER.csv`.
    A sub-folder beside a manifest of the same stem is the manifest's. An input that was delivered
    again after it was scored is scored again. Hidden files are passed over, so whoever delivers a
    file may write it under a hidden name and rename it when it is complete; files of other kinds
    are passed over too, which is said.

    Raises:
        InputError: `inbox` is no folder.
    """
    try:
        entries = sorted(path for path in inbox.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{inbox}: cannot be listed ({error.strerror})") from None
    tables = {path: stem for path in entries if path.is_file() and (stem := _stem(path))}
    others = sum(path.is_file() and path not in tables for path in entries)
    if others:
        say(f"{inbox.name}: {others} file(s) passed over, expected {', '.join(KINDS)}")
    stems = set(tables.values())
    folders = [path for path in entries if path.is_dir() and path.name not in stems]
    pairs = [(path, outbox / path.name) for path in tables]
    pairs += [(path, outbox / f"{path.name}.csv") for path in folders]
    return sorted(pair for pair in pairs if _is_newer(*pair))


def _is_newer(source: Path, output: Path) -> bool:
    """Whether there is no output of an input yet, or only one of what lay there before."""
    if not output.exists():
        return True
    files = source.rglob("*") if source.is_dir() else [source]
    changed = max((path.stat().st_mtime_ns for path in files), default=0)
    return changed > output.stat().st_mtime_ns


def _stem(path: Path) -> str | None:
    """Name without the suffix of a table; None where it has another one."""
    name = path.name
    return next((name[: -len(kind)] for kind in KINDS if name.lower().endswith(kind)), None)
