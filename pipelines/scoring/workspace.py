"""Finished pieces of a scoring, kept beside the output until they become it.

The folder `.OUTPUT.scoring` stands where the output will: on the same file system, so that the
last step is a rename, and where its owner already wants predictions to be; nobody else can enter
it. A scoring that was killed finds its finished parts there and goes on after them, if it is the
same scoring: same version, input, ids and pieces. Otherwise they are discarded.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from domains import durable
from domains.errors import InputError, Interrupted

_KEY, _PART = "scoring.json", "{:08d}.arrow"


@dataclass(frozen=True)
class Workspace:
    """The parts of one output.

    Attributes:
        folder: Holds them; locked by this process.
        output: What they are for.
    """

    folder: Path
    output: Path

    def kept(self) -> dict[str, Any] | None:
        """What `begin` wrote, of a scoring that was cut short; None where there is none."""
        try:
            found: dict[str, Any] = json.loads((self.folder / _KEY).read_text())
        except (OSError, json.JSONDecodeError):
            return None
        return found

    def begin(self, facts: dict[str, Any]) -> None:
        """Start afresh: discard what is there, and write down what makes this scoring itself.

        Args:
            facts: JSON values.
        """
        self._disown()
        for left in self.folder.iterdir():
            left.unlink()
        self._write(_KEY, json.dumps(facts).encode())

    def _disown(self) -> None:
        """Take what says whose the parts are away before any of them: a process that dies while it
        removes them leaves nothing to go on with."""
        (self.folder / _KEY).unlink(missing_ok=True)

    @property
    def finished(self) -> int:
        """Parts there are; they are written in order."""
        return sum(1 for _ in self.folder.glob("[0-9]*.arrow"))

    def keep(self, number: int, table: pa.Table) -> None:
        """Write a part; it is there whole or not at all.

        Raises:
            Interrupted: The disk is full.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        self._write(_PART.format(number), sink.getvalue())

    def parts(self) -> Iterator[pa.Table]:
        """All parts in order, one at a time."""
        for number in range(self.finished):
            with pa.OSFile(str(self.folder / _PART.format(number))) as part:
                yield pa.ipc.open_file(part).read_all()

    def _write(self, name: str, content: bytes | pa.Buffer) -> None:
        with self.writing(name) as stream:
            stream.write(content)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        """A stream to a file in the folder, which appears when the block ends well.

        Raises:
            Interrupted: The disk is full, or the folder is not writable any more.
        """
        try:
            with durable.replacing(self.folder / name) as part, part.open("wb") as stream:
                yield stream
        except OSError as error:
            raise _interrupted(self.output, error) from None

    def publish(self, name: str, target: Path) -> None:
        """Move a finished file of the folder to where it is wanted, for good."""
        try:
            os.replace(self.folder / name, target)
            durable.flush(target.parent)
        except OSError as error:
            raise _interrupted(target, error) from None

    def discard(self) -> None:
        """Remove the folder and all parts."""
        with suppress(OSError):
            self._disown()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def workspace(output: Path) -> Iterator[Workspace]:
    """The working folder of an output, for this process alone.

    Raises:
        InputError: The output's folder is missing or not writable, or another process is scoring
            to the same output.
    """
    folder = output.with_name(f".{output.name}.scoring")
    descriptor = _locked(folder, output)
    try:
        yield Workspace(folder, output)
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing was kept in it
        os.close(descriptor)  # the lock goes with it, and with the process


def _locked(folder: Path, output: Path) -> int:
    while True:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise InputError(
                f"{output}: its folder cannot be written to ({error.strerror}); make it, or choose "
                "another output"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise InputError(
                f"{output}: another scoring is writing it; wait for its end, or choose another "
                "output"
            ) from None
        if _same(folder, descriptor):
            return descriptor
        os.close(descriptor)  # its owner ended between our two calls and took the folder away


def _same(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _interrupted(output: Path, error: OSError) -> Interrupted:
    return Interrupted(
        f"{output}: cannot be written ({error.strerror or type(error).__name__}); nothing stands "
        "under that name half-written, and finished pieces are kept: make room and run the same "
        "command again"
    )
