"""Who asks, by API key, and how often each may."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from domains.errors import InputError

VARIABLE = "CARELEDGER_API_KEY"
NOBODY = "none"
"""The name of whoever asks where no key is set."""

_WINDOW = 10.0


@dataclass(frozen=True)
class Keys:
    """API keys by the digest of each, so that comparing takes one time whatever is given.

    Attributes:
        names: Name of each key by its SHA-256 digest; empty where anyone may ask.
    """

    names: Mapping[bytes, str]

    def holder(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        """Name of the key in `Authorization: Bearer KEY` or `X-API-Key: KEY`; None: no such key.

        Every key is compared, each in constant time.
        """
        if not self.names:
            return NOBODY
        given = hashlib.sha256(_given(headers)).digest()
        found = None
        for digest, name in self.names.items():
            if hmac.compare_digest(digest, given):
                found = name
        return found


def read_keys(text: str, secret: Callable[[], bytes]) -> Keys:
    """Keys of a comma-separated list of `NAME:KEY` or `KEY`.

    A key without a name is named by a short keyed hash of it.

    Args:
        text: Value of the environment variable.
        secret: Keys the hash; called only where a key has no name.

    Raises:
        InputError: An empty or repeated key. Names the entry by its number, not by its text.
    """
    names: dict[bytes, str] = {}
    entries = text.split(",") if text.strip() else []
    for number, entry in enumerate(entries, 1):
        before, colon, after = (part.strip() for part in entry.partition(":"))
        name, key = (before, after) if colon else ("", before)
        digest = hashlib.sha256(key.encode()).digest()
        if not key or (colon and not name) or digest in names:
            what = "repeats a key" if key and digest in names else "is empty or lacks a part"
            raise InputError(
                f"{VARIABLE}: entry {number} {what}; expected NAME:KEY or KEY, separated by commas"
            )
        names[digest] = name or f"key-{hmac.digest(secret(), key.encode(), 'sha256').hex()[:8]}"
    return Keys(names)


class Pace:
    """How often each key may ask: so many requests in any ten seconds, on average (token bucket).

    Args:
        rate: Requests a second; 0: any number.
        clock: Seconds, rising.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = max(1.0, rate * _WINDOW)
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, key: str) -> float:
        """Take one request of a key; 0, or the seconds until it may ask again."""
        if not self._rate:
            return 0.0
        now = self._clock()
        left, before = self._left.get(key, (self._most, now))
        left = min(self._most, left + (now - before) * self._rate)
        allowed = left >= 1.0
        self._left[key] = (left - 1.0 if allowed else left, now)
        return 0.0 if allowed else (1.0 - left) / self._rate


def _given(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The key of a request; `Authorization` comes before `X-API-Key`."""
    sent = dict(headers)
    bearer = sent.get(b"authorization", b"")
    if bearer[:7].lower() == b"bearer ":
        return bearer[7:].strip()
    return sent.get(b"x-api-key", b"").strip()
