"""Images as pieces: a folder or a manifest."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from domains.dataset import digest_files
from domains.errors import InputError
from domains.healthcare.images.files import (
    is_image_name,
    is_unnamed_dicom,
    kind_of,
    pictures,
    volume_slices,
)
from domains.healthcare.images.pixels import Reading, Unreadable, resize
from domains.tables import column_names
from pipelines.scoring.pieces import Piece
from pipelines.scoring.tables import Torn, stream

COLUMNS = ("path", "image")
"""Names a manifest's column of files goes by, if none is given."""

_SLICES = 64
"""Images that a volume is taken for, when pieces are measured out."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row that should name an image.

    Attributes:
        name: Id of the image; None where the row is torn.
        file: Where it is, as a plain string: paths as objects cost as much as a digest.
        wrong: Why the row names none.
        series: All files of a DICOM series that lie in one folder; empty for other images.
    """

    name: str | None
    file: str = ""
    wrong: str = ""
    series: tuple[str, ...] = ()


class ImageSource:
    """Images on disk.

    Args:
        path: Folder of any depth, or a manifest: a CSV file with a column of files, which are
            seen from the manifest's own folder. It may name the folder of a DICOM series.
        column: That column; None for the first of `COLUMNS` there is.
        size: Side that images are resized to.
        rows: Images a piece.
        reading: How files become images. Each chosen slice of a volume is a row, FILE#NUMBER; where
            it cuts volumes, the files of one series in one folder are a volume, as in training.

    Raises:
        InputError: No such folder or manifest, or no such column.
    """

    def __init__(
        self, path: Path, column: str | None, size: int, rows: int, reading: Reading
    ) -> None:
        self._column = None if path.is_dir() else _column(path, column)
        self._path, self._size, self._reading = path, size, reading
        self._passed: Counter[str] = Counter()
        self._rows = max(rows // _SLICES, 1) if reading.slices else rows

    def digest(self, key: bytes) -> str:
        """Keyed digest of all images, and of the manifest before them."""
        found = chain.from_iterable(_contents(image) for image in self._images())
        first = [str(self._path)] if self._column else []
        return digest_files(chain(first, found), key)

    def names(self) -> str:
        """A hash of the ids in their order."""
        hashed = hashlib.sha256()
        for image in self._images():
            hashed.update(f"{image.name}\n".encode())
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
            kind = "no rows" if self._column else "no PNG, JPEG, DICOM or NIfTI image"
            raise InputError(f"{self._path}: holds {kind}, nothing to score")

    def remarks(self) -> list[str]:
        """What was passed over: see `pipelines.scoring.pieces.Source`."""
        return [f"{count} {what} passed over" for what, count in self._passed.items()]

    def _piece(self, part: list[Listed]) -> Piece:
        names: list[str | None] = []
        pixels, kept, reasons = [], [], {}
        for image in part:
            try:
                for number, each in _read(image, self._size, self._reading):
                    kept.append(len(names))
                    pixels.append(each)
                    names.append(image.name if number is None else f"{image.name}#{number}")
            except Unreadable as error:
                reasons[len(names)] = str(error)
                names.append(image.name)
        ids = pa.array(names, pa.string())
        return Piece(ids, np.stack(pixels) if pixels else None, np.array(kept, int), reasons)

    def _images(self) -> Iterator[Listed]:
        self._passed.clear()
        if self._column:
            listed = _listed(self._path, self._column)
            return _once(listed, self._passed) if self._reading.slices else listed
        return _walk(str(self._path), "", self._passed, self._reading.slices is not None)


def _read(image: Listed, size: int, reading: Reading) -> Iterator[tuple[int | None, np.ndarray]]:
    if image.wrong:
        raise Unreadable(image.wrong)
    if image.series:
        files = [Path(file) for file in image.series]
        yield from ((k, resize(pixels, size)) for k, pixels in volume_slices(files, reading))
    else:
        yield from pictures(image.file, size, reading)


def _contents(image: Listed) -> Sequence[str]:
    """Files that a listed image is made of."""
    file = image.file
    if image.series:
        return image.series
    if os.path.isdir(file):
        with os.scandir(file) as found:
            return sorted(entry.path for entry in found if entry.is_file())
    return [file] if os.path.isfile(file) else []


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


def _walk(folder: str, above: str, passed: Counter[str], volumes: bool) -> Iterator[Listed]:
    """Images below a folder, by name; hidden files and folders are passed over.

    Args:
        folder: Where to look.
        above: What the names of its images begin with.
        passed: Counts what else is not taken.
        volumes: Whether the files of one series are one image, by the name of the first.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from None
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    series = _series(entries) if volumes else {}
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{above}{entry.name}/", passed, volumes)
        elif is_image_name(entry.name) or _is_unnamed(entry):
            files = series.get(entry.path, ())
            if not files or entry.path == files[0]:
                yield Listed(_text(above + entry.name), entry.path, series=files)
        else:
            passed["linked folder(s)" if entry.is_dir() else "file(s) that are no images"] += 1


def _series(entries: list[os.DirEntry[str]]) -> dict[str, tuple[str, ...]]:
    """The files of one folder's series of several, by each of them."""
    from domains.healthcare.images.series import grouped

    files = [Path(entry.path) for entry in entries if entry.is_file()]
    found = [group for group in grouped([f for f in files if kind_of(f) == "dicom"]) if group[1:]]
    return {str(file): tuple(map(str, group)) for group in found for file in group}


def _is_unnamed(entry: os.DirEntry[str]) -> bool:
    """Whether a file of another name is DICOM: archives name files by their UID, or by nothing."""
    return entry.is_file() and is_unnamed_dicom(entry.path)


def _text(name: str) -> str:
    """A name as text, whatever its bytes are."""
    return name if name.isascii() else os.fsencode(name).decode(errors="replace")


def _once(images: Iterator[Listed], passed: Counter[str]) -> Iterator[Listed]:
    """Images of a manifest whose rows may each be about a slice: a volume, which is answered with
    all the slices that the model takes, where it is first named."""
    known: set[str] = set()
    for image in images:
        if image.file in known:
            passed["row(s) that name a volume again"] += 1
            continue
        if image.file and kind_of(image.file) != "picture":
            known.add(image.file)
        yield image


def _listed(path: Path, column: str) -> Iterator[Listed]:
    """Images of a manifest, in its order."""
    torn: Torn = deque()
    number = 0
    for table in stream(path, [column], torn):
        for name in table.column(column).to_pylist():
            number += 1
            while torn and torn[0][0] == number:
                yield Listed(None, wrong=torn.popleft()[1])
                number += 1
            if name:
                yield Listed(name, os.path.join(path.parent, name))
            else:
                yield Listed(name, wrong="no file is named")
    yield from (Listed(None, wrong=reason) for _, reason in torn)
