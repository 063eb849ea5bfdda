"""What a run needs to know of its data without holding them: where, digest, schema, origin."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Dataset:
    """A named set of records.

    Attributes:
        name: Built-in name or `data.name` of the configuration.
        path: The file or folder the records were read from.
        digest: `sha256:…` for public data, `hmac-sha256:…` (keyed) for private data.
        rows: Number of records.
        columns: Pairs of column name and type, in file order.
        public: Whether the records may be used without a privacy charge.
        unit: What one record is about: `patient`, `borrower`, `image` or `row`.
        licence: Licence as its source states it.
        provenance: Where the records come from.
        notes: What was found while reading, in plain words and without any record.
    """

    name: str
    path: Path
    digest: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    public: bool
    unit: str
    licence: str
    provenance: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The same as JSON values; the path is left to its last part, for it may tell too much."""
        return {
            "name": self.name,
            "file": self.path.name,
            "digest": self.digest,
            "rows": self.rows,
            "columns": [list(pair) for pair in self.columns],
            "public": self.public,
            "unit": self.unit,
            "licence": self.licence,
            "provenance": self.provenance,
            "notes": list(self.notes),
        }


def digest_files(paths: Iterable[Path | str], key: bytes | None = None) -> str:
    """Digest of several files' contents in the given order.

    Args:
        paths: Files to read.
        key: A secret: the digest of private data is keyed, so that nobody can confirm a guess
            of the content. None gives a plain SHA-256.
    """
    mac = hashlib.sha256() if key is None else hmac.new(key, digestmod=hashlib.sha256)
    for path in paths:
        inner = hashlib.sha256()
        with open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                inner.update(chunk)
        mac.update(inner.digest())
    return f"{'sha256' if key is None else 'hmac-sha256'}:{mac.hexdigest()}"


def digest_file(path: Path, key: bytes | None = None) -> str:
    """Digest of one file's content; see `digest_files`."""
    return digest_files([path], key)
