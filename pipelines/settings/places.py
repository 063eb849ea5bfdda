"""Where this installation keeps things, and the secret it keys them with."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from domains.errors import InputError
from pipelines.environment import home_folder


def home() -> Path:
    """Everything a run leaves behind: `CARELEDGER_HOME`, by default `.careledger` here."""
    folder = home_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unusable(folder, "cannot be created", error) from None
    return folder


def writable_home() -> Path:
    """The home folder, after a file was written into it.

    Raises:
        InputError: It cannot be created or written to.
    """
    folder = home()
    probe = folder / f"probe.{os.getpid()}"
    try:
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise _unusable(folder, "cannot be written to", error) from None
    return folder


def _unusable(folder: Path, what: str, error: OSError) -> InputError:
    return InputError(
        f"CARELEDGER_HOME {folder}: {what} ({error.strerror}); set it to a folder you may write to"
    )


def ledger_path() -> Path:
    """The privacy ledger of this installation."""
    return home() / "ledger.db"


def home_key() -> bytes:
    """This installation's secret, 32 bytes: keys splits, digests and fingerprints.

    It is made once, readable by its owner alone. Losing it moves private records between
    training and test, so it is kept beside the ledger and backed up with it.
    """
    path = home() / "key"
    if not path.exists():
        made = path.with_name(f"key.{os.getpid()}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(32))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(made, path)  # the first of two processes wins; both then read its key
        except FileExistsError:
            pass
        finally:
            made.unlink()
    key = path.read_bytes()
    if len(key) != 32:
        raise InputError(f"{path}: expected 32 bytes, found {len(key)}; restore it from a backup")
    return key
