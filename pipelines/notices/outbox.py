"""Messages on their way to webhooks: a file each until it is delivered, oldest first."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domains.fetching import replacing
from pipelines.notices import webhook
from pipelines.settings import home

MOST = 200
"""So many messages wait at most; older ones are dropped, and counted."""
_FOLDER, _LOCK, _DROPPED = "notifications", ".lock", "dropped"
_TIMEOUT, _PAUSES = 5.0, (0.0, 0.5, 1.0)


def keep(body: bytes, address: str) -> None:
    """Put a message for one webhook away before anything is sent: a crash loses none."""
    folder = _folder()
    name = f"{time.time_ns():020d}.{secrets.token_hex(4)}.{_mark(address)}.json"
    with replacing(folder / name) as part:
        part.write_bytes(body)
    for old in waiting()[:-MOST]:
        old.unlink(missing_ok=True)
        (folder / _DROPPED).write_text(str(dropped() + 1))


def waiting() -> list[Path]:
    """Messages not delivered yet, oldest first."""
    return sorted((home() / _FOLDER).glob("*.json"))


def dropped() -> int:
    """How many messages had to go undelivered since all were last delivered."""
    path = home() / _FOLDER / _DROPPED
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def deliver(addresses: list[str], until: float) -> int:
    """Send what waits for these webhooks, each message once; returns how many were sent.

    One process delivers at a time. What a webhook does not take stays for the next time, and so
    does everything behind a webhook that cannot be reached.

    Args:
        addresses: Webhooks; messages kept for others wait on.
        until: `time.monotonic()` at which to stop.
    """
    if not waiting():
        return 0
    with _alone(until) as mine:
        sent = sum(_deliver_to(address, until) for address in addresses) if mine else 0
    if not waiting():
        (home() / _FOLDER / _DROPPED).unlink(missing_ok=True)
    return sent


def send(address: str, body: bytes, until: float) -> webhook.Outcome:
    """POST a message, again after a pause where that may help, until a moment at most."""
    outcome: webhook.Outcome = "unreachable"
    for pause in _PAUSES:
        time.sleep(pause)
        left = until - time.monotonic()
        if left <= 0:
            break
        outcome = webhook.post(address, body, min(_TIMEOUT, left))
        if outcome != "unreachable":
            break
    return outcome


def _deliver_to(address: str, until: float) -> int:
    sent = 0
    for path in waiting():
        if path.name.split(".")[2] != _mark(address):
            continue
        outcome = send(address, path.read_bytes(), until)
        if outcome == "unreachable":
            break
        if outcome == "sent":
            path.unlink()
            sent += 1
    return sent


def _mark(address: str) -> str:
    """Which webhook a message is for, without its address, whose path is a password."""
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def _folder() -> Path:
    folder = home() / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextmanager
def _alone(until: float) -> Iterator[bool]:
    """Whether this process may deliver; waits its turn, until a moment at most."""
    descriptor = os.open(_folder() / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _locked(descriptor, until)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True
