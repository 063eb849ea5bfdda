"""What was scored already: told by content, from the log of acts, which holds no path of it."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from domains.dataset import digest_file
from domains.healthcare.images.pixels import Reading
from pipelines.governance.activity import acts
from pipelines.scoring.images import ImageSource
from pipelines.settings import home_key

_MARK = 24


def mark(path: Path) -> str:
    """A keyed hash of where a file is: two acts on one file are known by it, its name is not."""
    place = os.path.realpath(path).encode(errors="surrogateescape")
    return hmac.new(home_key(), place, hashlib.sha256).hexdigest()[:_MARK]


def state(path: Path) -> str:
    """What changes whenever a file, or any file of a folder, is written, replaced or renamed.

    Size, time of writing, time of the last change of anything, and number on its file system; the
    last two cannot be set to an older value as `cp -p` does with the time of writing.
    """
    if not path.is_dir():
        return _stat(path)
    hashed = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            hashed.update(f"{file.relative_to(path)} {_stat(file)}\n".encode(errors="replace"))
    return hashed.hexdigest()[:_MARK]


def content(path: Path) -> str:
    """Keyed digest of a file, or of all images of a folder."""
    if path.is_dir():
        return ImageSource(path, None, 1, 1, Reading()).digest(home_key())
    return digest_file(path, home_key())


class Scored:
    """What the log of acts knows of outputs and of the inputs that they were made from."""

    def __init__(self) -> None:
        self._last: dict[str, dict[str, Any]] = {
            str(act["target"]): act for act in _done() if "target" in act
        }

    def unchanged(self, source: Path, output: Path) -> bool:
        """Whether an output stands, and was made from what its input holds now.

        The content is read only where size, times or number are not what they were.
        """
        act = self._last.get(mark(output))
        if act is None or not output.exists():
            return False
        try:
            return bool(act["state"] == state(source) or act["content"] == content(source))
        except OSError:  # the scoring will say what is wrong with it
            return False

    def looks_unchanged(self, source: Path, output: Path) -> bool:
        """The same without reading any content: a file that was merely touched looks changed."""
        act = self._last.get(mark(output))
        return act is not None and output.exists() and bool(act["state"] == state(source))


def _done() -> Iterator[dict[str, Any]]:
    return (act for act in acts("score") if act.get("ended") == "done")


def _stat(path: Path) -> str:
    found = path.stat()
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
