"""Files that are there whole or not at all, whatever ends the process or the machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write under a temporary name beside `path`; what a whole block wrote is then on disk as it.

    The block may close the file before it hands it over; it is opened once more to be flushed.

    Raises:
        OSError: The disk is full or may not be written; nothing is left of the temporary file.
    """
    part = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield part
        flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    flush(path.parent)


def write(path: Path, text: str) -> None:
    """Text as a whole file; see `replacing`."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def flush(path: Path) -> None:
    """Make a file's content last, or the names in a folder: those are not on disk with the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
