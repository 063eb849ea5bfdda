"""Where this installation keeps things, and the secret it keys them with."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from domains.errors import InputError
from pipelines.environment import home_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from privacy.anchors import Anchor
    from privacy.ledger import Ledger

URL, KEY = "CARELEDGER_LEDGER_URL", "CARELEDGER_LEDGER_KEY"
"""Address of a PostgreSQL database that holds the ledger, and the file of the ledger's key."""


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
    """The privacy ledger's file, where it is one, and what its key is named after."""
    return home() / "ledger.db"


def ledger_place() -> tuple[Path | str, Path]:
    """Where the ledger is, a file or a database's address, and where its key.

    Raises:
        InputError: The address is none of PostgreSQL.
    """
    address = os.environ.get(URL)
    if address and not address.startswith(("postgresql://", "postgres://")):
        raise InputError(f"{URL}: expected postgresql://USER@HOST:PORT/DATABASE, or nothing")
    key = os.environ.get(KEY)
    beside = ledger_path().with_name(f"{ledger_path().name}.key")
    return address or ledger_path(), Path(key).expanduser() if key else beside


def has_ledger() -> bool:
    """Whether a ledger was ever begun here, as far as that is known without opening it."""
    where, key = ledger_place()
    return isinstance(where, str) or where.exists() or key.exists()


def open_ledger(timeout: float | None = None) -> Ledger:
    """The privacy ledger of this installation, which runs and versions in MLflow remember.

    Args:
        timeout: Seconds to wait for another process that writes.
    """
    from privacy.ledger import TIMEOUT, Ledger

    where, key = ledger_place()
    return Ledger(where, TIMEOUT if timeout is None else timeout, key=key, anchors=_anchors)


def has_store() -> bool:
    """Whether there is an MLflow store to read; looking must not make one."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI")) or (home() / "mlflow.db").exists()


def _anchors(ledger: str) -> Sequence[Anchor]:
    if not has_store():
        return ()
    from pipelines.governance import anchors  # MLflow takes seconds to import

    return anchors.newest(ledger)


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
