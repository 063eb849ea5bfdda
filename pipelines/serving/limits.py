"""What a server allows, from the environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from domains.errors import InputError

_PREFIX = "CARELEDGER_SERVE_"


@dataclass(frozen=True)
class Limits:
    """Each is read from `CARELEDGER_SERVE_NAME`, its name in capitals.

    Attributes:
        body_bytes: Of one request's body; more is answered 413. Bodies under way may hold four
            times this together; a request beyond that is answered 503.
        rows: Records or images of one request; more is answered 413.
        rate: Requests a second and key, over ten seconds; more is answered 429. 0: no limit.
        seconds: From a request's first byte to its answer; later is answered 503.
        waiting: Requests under way at once; one more is answered 503.
        poll: Seconds between two looks at where the alias points.
        threads: Threads of one prediction. More than one pays for large images alone.
    """

    body_bytes: int = 32 << 20
    rows: int = 10_000
    rate: float = 0.0
    seconds: float = 30.0
    waiting: int = 512
    poll: float = 2.0
    threads: int = 1

    @property
    def held_bytes(self) -> int:
        """Of all bodies under way together."""
        return 4 * self.body_bytes

    def values(self, columns: int) -> int:
        """JSON values that one request may hold, so that a small body cannot become a large one.

        Args:
            columns: Columns that the model needs.
        """
        return self.rows * max(64, 2 * columns)


def read_limits(environment: Mapping[str, str]) -> Limits:
    """The limits an environment names, the others by default.

    Raises:
        InputError: A value is not a number, or too small.

    >>> read_limits({"CARELEDGER_SERVE_ROWS": "5"}).rows
    5
    """
    given: dict[str, Any] = {}
    for field in fields(Limits):
        name = _PREFIX + field.name.upper()
        if environment.get(name):
            given[field.name] = _number(name, environment[name], type(field.default))
    return Limits(**given)


def _number(name: str, text: str, kind: type) -> float:
    least = 0.0 if name.endswith("RATE") else 1.0 if kind is int else 0.01
    try:
        value: float = kind(text)
    except ValueError:
        value = math.nan
    if not least <= value < math.inf:
        what = "a whole number" if kind is int else "a number"
        raise InputError(f"{name}={text}: expected {what} of at least {least:g}")
    return value
