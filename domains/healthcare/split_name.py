"""Names of splits: equal names mean that a record stands on the same side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from domains.splits import split_key


def key_name(seed: int, secret: bytes | None) -> str:
    """Which key splits: the seed of public data, a short digest of the secret of private ones."""
    if secret is None:
        return f"seed {seed}"
    return f"secret {_short(b'name of the key', split_key(seed, secret))}"


def facts_name(facts: Iterable[object], seed: int, secret: bytes | None) -> str:
    """Short keyed digest of what a split depends on, in any order; empty for nothing."""
    lines = sorted(repr(fact) for fact in facts)
    return _short("\n".join(lines).encode(), split_key(seed, secret)) if lines else ""


def _short(content: bytes, key: bytes) -> str:
    return hashlib.blake2b(content, key=key, digest_size=6).hexdigest()
