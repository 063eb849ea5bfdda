"""Ways of doing something by name: a table says where each is, and imports none until it is asked.

So a configuration can be checked in a moment, and a new way is one file and one line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from domains.errors import InputError


def found(kind: str, name: str, table: Mapping[str, str], package: str) -> Any:
    """The class of a name.

    Args:
        kind: What the names are of, in messages.
        name: One of the table.
        table: Name → `file.Class`, below the package.
        package: Where the files are.

    Raises:
        InputError: There is no such name.
    """
    if name not in table:
        raise InputError(f"{kind}: found {name!r}, expected one of {', '.join(table)}")
    file, _, made = table[name].partition(".")
    return getattr(import_module(f"{package}.{file}"), made)


def keywords(made: Callable[..., Any]) -> dict[str, Any]:
    """What a class or function alone takes, its keyword-only arguments, with their defaults."""
    taken = inspect.signature(made).parameters.values()
    return {each.name: each.default for each in taken if each.kind is each.KEYWORD_ONLY}


def check_settings(kind: str, name: str, settings: Iterable[str], own: Iterable[str]) -> None:
    """Raise InputError for a setting that is none of its own."""
    known = tuple(own)
    for key in settings:
        if key not in known:
            listed = ", ".join(known) or "none"
            raise InputError(f"{key}: no setting of {kind} {name}, which has: {listed}")
