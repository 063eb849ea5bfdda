"""From a template to one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from domains import durable

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
    environment.tests["holding"] = lambda text, part: part in str(text)
    return environment.get_template(path.name)


def write(path: Path, page: str) -> Path:
    """Put a page in place whole: a reader never sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, page)
    return path
