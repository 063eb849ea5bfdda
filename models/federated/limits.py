"""Numbers a strategy is told, and the one line that refuses an impossible one."""

from __future__ import annotations

from domains.errors import InputError


def within(name: str, value: float, low: float, high: float, *, ends: str) -> float:
    """The value, if it lies between two others.

    Args:
        name: What the value is called where it is set.
        value: Any number, NaN too.
        low, high: The bounds.
        ends: `[]`, `[)`, `(]` or `()`: which bounds are allowed themselves.

    Raises:
        InputError: It does not.

    >>> within("trim", 0.1, 0.0, 0.5, ends="[)")
    0.1
    """
    above = value >= low if ends[0] == "[" else value > low
    below = value <= high if ends[1] == "]" else value < high
    if above and below:
        return value
    raise InputError(f"{name}: found {value}, expected within {ends[0]}{low:g}, {high:g}{ends[1]}")
