"""Built-in studies of patients: one small file each, named `STUDY` in it, and one word here.

This module is light, for configurations are checked against the names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from domains.healthcare.studies.study import Study

NAMES = ("support2", "framingham", "nafld", "nhanes")
"""Every built-in study."""


def find(name: str) -> Study:
    """The built-in study of that name, one of `NAMES`."""
    return cast("Study", import_module(f"{__name__}.{name}").STUDY)
