"""How much room is left where this installation keeps things, and how much it takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pipelines.settings import home

_MOST = 200_000
"""Files counted at most: a home of millions is not walked to its end for one number."""


def read() -> dict[str, Any]:
    """Bytes free on the home's disk, bytes the home takes, and whether all of it was counted."""
    usage = shutil.disk_usage(home())
    size, whole = _size(home())
    return {"free": usage.free, "total": usage.total, "home": size, "home_counted_whole": whole}


def _size(folder: Path) -> tuple[int, bool]:
    size, seen = 0, 0
    for place, _, names in os.walk(folder):
        for name in names:
            seen += 1
            if seen > _MOST:
                return size, False
            try:
                size += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone meanwhile, or not ours to look at
                continue
    return size, True
