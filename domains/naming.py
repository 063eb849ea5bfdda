"""The order in which people read names."""

from __future__ import annotations

import re


def natural(name: str) -> list[tuple[int, str]]:
    """What to sort a name by, so that numbers in it rise as numbers.

    >>> sorted(["part 10", "part 2", "north", "part 1"], key=natural)
    ['north', 'part 1', 'part 2', 'part 10']
    """
    pieces = re.split(r"([0-9]+)", name)
    return [(int(each), "") if number % 2 else (0, each) for number, each in enumerate(pieces)]
