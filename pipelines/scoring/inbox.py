"""What a schedule finds to score: the inputs of a folder that have no output yet."""

from __future__ import annotations

from pathlib import Path

from domains.errors import InputError
from pipelines.scoring.output import KINDS


def waiting(inbox: Path, outbox: Path) -> list[tuple[Path, Path]]:
    """Pairs of input and output, by name.

    A table or a manifest goes to a file of its own name, a sub-folder of images to `FOLDER.csv`.
    A sub-folder beside a manifest of the same stem is the manifest's. Hidden files are passed
    over, so whoever delivers a file may write it under a hidden name and rename it when it is
    complete.

    Raises:
        InputError: `inbox` is no folder, or two files would have their rejected rows in one list.
    """
    try:
        entries = sorted(path for path in inbox.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{inbox}: cannot be listed ({error.strerror})") from None
    tables: dict[str, Path] = {}
    for path in entries:
        stem = _stem(path)
        if stem is None or not path.is_file():
            continue
        if stem in tables:
            raise InputError(
                f"{inbox}: {tables[stem].name} and {path.name} share a stem; rename one"
            )
        tables[stem] = path
    folders = [path for path in entries if path.is_dir() and path.name not in tables]
    pairs = [(path, outbox / path.name) for path in tables.values()]
    pairs += [(path, outbox / f"{path.name}.csv") for path in folders]
    return sorted(pair for pair in pairs if not pair[1].exists())


def _stem(path: Path) -> str | None:
    """Name without the suffix of a table; None where it has another one."""
    name = path.name
    return next((name[: -len(kind)] for kind in KINDS if name.lower().endswith(kind)), None)
