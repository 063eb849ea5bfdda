"""What identifies the files of a set, and whether they held still while they were read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from domains.dataset import digest_files
from domains.errors import InputError


def stamps(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Size and time of the last change (ns) of the files that are there and may be read."""
    found = {}
    for file in files:
        if os.path.isfile(file) and os.access(file, os.R_OK):  # a Path refuses long names
            state = os.stat(file)
            found[file] = (state.st_size, state.st_mtime_ns)
    return found


def digest_of(before: dict[Path, tuple[int, int]], key: bytes | None) -> str:
    """Digest of files that were read since their `stamps` were taken.

    Raises:
        InputError: One has changed or is gone: what was read has no digest.
    """
    try:
        digest = digest_files(before, key)
    except OSError:
        digest = ""
    after = stamps(before)
    moved = [file for file in before if after.get(file) != before[file]]
    if moved or not digest:
        raise InputError(
            f"{moved[0] if moved else next(iter(before))}: {max(len(moved), 1)} of {len(before)} "
            "files changed while they were read; run again when nobody writes to them"
        )
    return digest
