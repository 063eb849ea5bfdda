"""Write docs/configuration.md: every key of every job, from the classes that check it."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipelines.settings import CONFIGS, ScoreConfig

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"

_HEAD = """# Configuration

One YAML file a job: `careledger train PIPELINE --config FILE.yaml`; `--set key.path=value` replaces
one key, `--scale` the scale. The same keys are the parameters of the Prefect flow. Paths are seen
from the file's own folder. An unknown key, a wrong type or a missing file is one line on standard
error and exit status 2.

This page is written by `make docs` from the classes in `pipelines/settings/`.
"""

_SCORE = """These are the options of `careledger score`, and the parameters of the Prefect flow
`score`, where relative paths are seen from the home folder."""


def page() -> str:
    """The whole page as Markdown."""
    parts = [_HEAD]
    for name, config in CONFIGS.items():
        parts.append(f"## {name}\n\n{_sentence(config)}\n\n{_table(config)}")
    parts.append(f"## score\n\n{_sentence(ScoreConfig)}\n\n{_SCORE}\n\n{_table(ScoreConfig)}")
    return "\n".join(parts)


def _table(config: type[BaseModel]) -> str:
    rows = ["| key | type | default | |", "|---|---|---|---|"]
    rows += _rows(config, "")
    return "\n".join(rows) + "\n"


def _rows(config: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in config.model_fields.items():
        inner = _section(field.annotation)
        text = field.description or (_sentence(inner) if inner else "")
        kind = _kind(field.annotation)
        rows.append(f"| `{prefix}{name}` | {kind} | {_default(field)} | {text} |")
        if inner:
            many = "[]" if get_origin(field.annotation) is list else ""
            rows += _rows(inner, f"{prefix}{name}{many}.")
    return rows


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section a key holds, alone, optional or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        if found := _section(argument):
            return found
    return None


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(a) for a in arguments if a is not type(None))
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"{_kind(arguments[1])} by name"
    if origin is tuple:
        return "[low, high]"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys below"
    return {"int": "whole number", "float": "number", "str": "text", "Path": "path"}.get(
        getattr(annotation, "__name__", ""), "yes or no" if annotation is bool else "text"
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default is None or field.default == []:
        return "none"
    if isinstance(field.default, BaseModel):
        given = field.default.model_dump(exclude_defaults=True, mode="json")
        return f"`{given}`" if given else "as below"
    return f"`{field.default}`"


def _sentence(config: type[BaseModel]) -> str:
    return (config.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE, file=sys.stderr)
