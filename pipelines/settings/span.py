"""A length of time in a configuration: seconds, or a number with its unit."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?)?\s*")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(given: object) -> object:
    """Seconds of a text such as `90`, `90s`, `10m`, `10 minutes`, `1.5h`.

    What is no such text is returned as it is, for pydantic to judge.

    >>> seconds("10 minutes")
    600.0
    """
    if not isinstance(given, str):
        return given
    found = _SPAN.fullmatch(given)
    if found is None:
        raise ValueError(f"expected seconds, or a number with s, m or h, found {given!r}")
    return float(found.group(1)) * _SECONDS[(found.group(2) or "s")[0]]


Span = Annotated[float, BeforeValidator(seconds), Field(gt=0)]
"""Seconds, larger than 0."""
