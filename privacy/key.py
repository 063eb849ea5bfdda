"""The ledger's key: 32 secret bytes in a file, with which every entry is chained to the last."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domains import durable
from domains.errors import InputError

SIZE = 32


def read(path: Path) -> bytes:
    """The key.

    Raises:
        InputError: It is cut short or something else.
    """
    key = path.read_bytes()
    if len(key) != SIZE:
        raise InputError(
            f"{path}: found {len(key)} bytes, expected the ledger's key of {SIZE}; "
            "restore it from a backup"
        )
    return key


def write(path: Path, key: bytes) -> None:
    """Keep a key, readable by its owner alone; never seen half-written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with durable.replacing(path) as part:
        private(part, key)


def private(path: Path, content: bytes) -> None:
    """A new file that only its owner may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def name_of(key: bytes) -> str:
    """What tells ledgers apart, and nothing of the key."""
    return hashlib.blake2b(b"careledger ledger", key=key, digest_size=8).hexdigest()


@contextmanager
def turn(path: Path) -> Iterator[None]:
    """One process of this machine at a time does what concerns the files beside the key."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
