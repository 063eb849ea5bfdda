"""From a template to one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

TEMPLATES = Path(__file__).parent / "templates"


def template(path: Path, finalize: Callable[[Any], Any] | None = None) -> Template:
    """A template that escapes what it prints in HTML, and fails on a name it does not know."""
    environment = Environment(
        loader=FileSystemLoader(path.parent),
        autoescape=select_autoescape(["html"]),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)


def write(path: Path, page: str) -> Path:
    """Put a page in place whole: a reader never sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
