"""The rows of a manifest as text, each known by its place in the file."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from domains.errors import InputError

_DAMAGE = (UnicodeError, csv.Error, EOFError, OSError, zlib.error)


def read_rows(path: Path) -> pd.DataFrame:
    """Cells as text without blanks around them, one column a name of the header.

    The index is the row's number as a spreadsheet shows it: the header is 1, empty rows count and
    are left out. Ends of lines may be those of any system, and a byte order mark may stand first.

    Raises:
        InputError: No such file, a folder, empty, not CSV in UTF-8, no row below the header, or a
            row with more cells than the header has names.
    """
    if path.is_dir():
        raise InputError(
            f"{path}: a folder, expected a manifest (.csv); data.kind: folder reads folders"
        )
    rows = _rows(path)
    header = rows[0][1] if rows else []
    if not header:
        raise InputError(f"{path}: empty, expected a header and a row an image")
    if len(rows) == 1:
        raise InputError(f"{path}: no rows below the header")
    for number, cells in rows[1:]:
        if len(cells) > len(header):
            raise InputError(
                f"{path}, row {number}: {len(cells)} cells, and the header has {len(header)} "
                'names; put "…" around cells that hold a comma'
            )
    filled = [cells + [""] * (len(header) - len(cells)) for _, cells in rows[1:]]
    return pd.DataFrame(filled, index=[number for number, _ in rows[1:]], columns=header, dtype=str)


def check_header(table: pd.DataFrame, path: Path) -> None:
    """Raise InputError for a name that stands twice, whose second column would never be seen."""
    names = table.columns
    twice = names[(names != "") & names.duplicated()]
    if len(twice):
        raise InputError(
            f"{path}, row 1: the header names column {twice[0]!r} twice; rename or remove one"
        )


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        return list(_filled(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such manifest") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it") from None
    except _DAMAGE:
        raise InputError(
            f"{path}: empty or not a CSV file in UTF-8; save it as CSV UTF-8"
        ) from None


def _filled(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every row that is not empty."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        for number, cells in enumerate(csv.reader(stream), 1):
            stripped = [cell.strip() for cell in cells]
            while stripped and not stripped[-1]:
                stripped.pop()
            if stripped:
                yield number, stripped
