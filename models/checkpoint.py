"""What a training has reached, on disk: one that was killed goes on from there.

One file holds tensors (safetensors) and plain facts (JSON, in its metadata). It is written under
another name, flushed to the disk and renamed, so that a kill at any moment leaves the last state
or the next one, never half of one.
"""

from __future__ import annotations

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from domains import durable

PAUSE = 2.0
"""Seconds of training between two saves."""
_LONGER = 50  # times as long to train as the last save took: writing costs at most 2 %

Tell = Callable[[str], None]


class Checkpoint:
    """The state of one training, in one file.

    Args:
        path: The file, `ARM.safetensors`; its folder is made when something is saved.
        tell: Receives one line when a file had to be set aside.
        pause: Seconds between two saves that are merely `due`; 0 makes every one due.
        belongs: See `of`.

    >>> from tempfile import mkdtemp
    >>> checkpoint = Checkpoint(Path(mkdtemp()) / "arm.safetensors").of("seed 0", 3)
    >>> checkpoint.save({"weight": torch.ones(2)}, {"epoch": 1})
    >>> checkpoint.load()
    ({'weight': tensor([1., 1.])}, {'epoch': 1})
    """

    def __init__(
        self, path: Path, tell: Tell | None = None, pause: float = PAUSE, belongs: str = ""
    ) -> None:
        self.path = path
        self._tell, self._pause, self._belongs = tell, pause, belongs
        self._ended, self._cost = time.perf_counter(), 0.0

    def of(self, *said: object) -> Checkpoint:
        """The same file, for a training that all of this describes: recipe, shapes, rows.

        A file that was saved for another one is set aside by `load`.

        Args:
            said: Values whose `repr` is the same in every process.
        """
        digest = hashlib.blake2b(repr((self._belongs, *said)).encode(), digest_size=16).hexdigest()
        return Checkpoint(self.path, self._tell, self._pause, digest)

    def part(self, number: int) -> Checkpoint:
        """A file of its own, beside this one, for one of several trainings in a row."""
        path = self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}")
        return Checkpoint(path, self._tell, self._pause, self._belongs)

    @property
    def set_aside(self) -> bool:
        """Whether a file was here once that could not be used: what it had reached is lost."""
        return self._aside.exists()

    @property
    def missing(self) -> bool:
        """Whether a file that was marked as begun is no longer here."""
        return self._begun.exists() and not self.path.exists()

    def begin(self) -> None:
        """Mark that the file was there, on the disk: one that is deleted is then missed."""
        if not self._begun.exists():
            durable.write(self._begun, "")

    def due(self) -> bool:
        """Whether training has gone on for so long that another save costs little beside it."""
        rest = max(self._pause, _LONGER * self._cost) if self._pause else 0.0
        return time.perf_counter() - self._ended >= rest

    def save(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace what was saved before; it is on the disk when this returns.

        Raises:
            OSError, SafetensorError: The disk is full or may not be written; what was saved before
                is still there.
        """
        started = time.perf_counter()
        laid = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
        said = json.dumps(dict(facts))
        metadata = {"facts": said, "belongs": self._belongs, "sum": _sum(laid, said)}
        self._write(laid, metadata)
        self._ended = time.perf_counter()
        self._cost = self._ended - started

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What was saved last; None where nothing was.

        A file that is damaged, or belongs to another training, is renamed and counts as none.
        """
        if not self.path.exists():
            return None
        found = self._read()
        if found is None:
            self._put_aside("is damaged")
            return None
        tensors, metadata = found
        if metadata["belongs"] != self._belongs:
            self._put_aside("belongs to another training")
            return None
        facts: dict[str, Any] = json.loads(metadata["facts"])
        return tensors, facts

    def _read(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Tensors and metadata as they were written; None where they are not."""
        try:
            with safe_open(self.path, "pt") as file:
                metadata: dict[str, str] = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            sound = metadata["sum"] == _sum(tensors, metadata["facts"])
        except (SafetensorError, KeyError):
            return None
        return (tensors, metadata) if sound else None

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.aside")

    @property
    def _begun(self) -> Path:
        return self.path.with_name(f"{self.path.name}.begun")

    def _put_aside(self, why: str) -> None:
        self.path.replace(self._aside)
        if self._tell is not None:
            self._tell(f"checkpoint {self.path.name} {why}: set aside, training starts anew")

    def _write(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        folder = self.path.parent
        if not folder.exists():  # that it was begun must outlast a power cut as well
            folder.mkdir(parents=True, exist_ok=True)
            durable.flush(folder.parent)
        with durable.replacing(self.path) as part:
            save_file(tensors, part, metadata)


def _sum(tensors: Mapping[str, Tensor], said: str) -> str:
    """Check sum of names, shapes, numbers and facts; safetensors has none of its own."""
    total = zlib.crc32(said.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, total)
    return str(total)
