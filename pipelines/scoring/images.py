"""Images as pieces: a folder or a manifest."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from domains.dataset import digest_files
from domains.errors import InputError
from domains.healthcare.image_files import SUFFIXES, Unreadable, decode, resize
from domains.tables import column_names
from pipelines.scoring.pieces import Piece
from pipelines.scoring.tables import Torn, stream

COLUMNS = ("path", "image")
"""Names a manifest's column of files goes by, if none is given."""

Image = tuple[str | None, Path | str]
"""Id of an image, and its file or what is wrong with the row that should name one."""


class ImageSource:
    """Images on disk.

    Args:
        path: Folder of any depth, or a manifest: a CSV file with a column of files, which are
            seen from the manifest's own folder.
        column: That column; None for the first of `COLUMNS` there is.
        size: Side that images are resized to.
        rows: Images a piece.

    Raises:
        InputError: No such folder or manifest, or no such column.
    """

    def __init__(self, path: Path, column: str | None, size: int, rows: int) -> None:
        self._column = None if path.is_dir() else _column(path, column)
        self._path, self._size, self._rows = path, size, rows

    def digest(self, key: bytes) -> str:
        """Keyed digest of all images, and of the manifest before them."""
        found = (file for _, file in self._images() if isinstance(file, Path) and file.is_file())
        first = [self._path] if self._column else []
        return digest_files(chain(first, found), key)

    def names(self) -> str:
        """A hash of the ids in their order."""
        hashed = hashlib.sha256()
        for name, _ in self._images():
            hashed.update(f"{name}\n".encode())
        return hashed.hexdigest()

    def pieces(self, skip: int = 0) -> Iterator[Piece]:
        """See `pipelines.scoring.pieces.Source`."""
        images = self._images()
        parts = iter(lambda: list(islice(images, self._rows)), [])
        done = sum(1 for _ in islice(parts, skip))
        for part in parts:
            yield self._piece(part)
            done += 1
        if not done:
            kind = "no rows" if self._column else "no PNG or JPEG image"
            raise InputError(f"{self._path}: holds {kind}, nothing to score")

    def _piece(self, part: list[Image]) -> Piece:
        pixels, kept, reasons = [], [], {}
        for row, (_, file) in enumerate(part):
            try:
                pixels.append(_read(file, self._size))
                kept.append(row)
            except Unreadable as error:
                reasons[row] = str(error)
        ids = pa.array([name for name, _ in part], pa.string())
        return Piece(ids, np.stack(pixels) if pixels else None, np.array(kept, int), reasons)

    def _images(self) -> Iterator[Image]:
        if self._column:
            return _listed(self._path, self._column)
        return ((_name(p.relative_to(self._path)), p) for p in _walk(self._path))


def _name(path: Path) -> str:
    """A path as text, whatever its bytes are."""
    return os.fsencode(path.as_posix()).decode(errors="replace")


def _read(file: Path | str, size: int) -> np.ndarray:
    if isinstance(file, str):
        raise Unreadable(file)
    return resize(decode(file), size)


def _column(path: Path, column: str | None) -> str:
    names = column_names(path)
    wanted = COLUMNS if column is None else (column,)
    found = next((name for name in wanted if name in names), None)
    if found is None:
        raise InputError(
            f"{path}: no column {' or '.join(repr(name) for name in wanted)} that names image "
            "files; name it with --image"
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Images below a folder, by name; hidden files and folders are passed over."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            yield Path(entry.path)


def _listed(path: Path, column: str) -> Iterator[Image]:
    """Images of a manifest, in its order."""
    torn: Torn = deque()
    number = 0
    for table in stream(path, [column], torn):
        for name in table.column(column).to_pylist():
            number += 1
            while torn and torn[0][0] == number:
                yield None, torn.popleft()[1]
                number += 1
            yield name, path.parent / name if name else "no file is named"
    yield from ((None, reason) for _, reason in torn)
