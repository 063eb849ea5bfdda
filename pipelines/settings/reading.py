"""From a YAML file and overrides to a checked configuration, or one line about what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import ConstructorError

from domains.errors import InputError
from pipelines.settings.base import Job, Section
from pipelines.settings.credit import CreditConfig
from pipelines.settings.imaging import ImagingConfig
from pipelines.settings.patients import PatientsConfig

CONFIGS: dict[str, type[Job]] = {
    "imaging": ImagingConfig,
    "patients": PatientsConfig,
    "credit": CreditConfig,
}
"""The configuration of each pipeline."""


def load_config(
    pipeline: str,
    path: Path | None = None,
    overrides: list[str] | None = None,
    scale: str | None = None,
) -> Job:
    """Read a job's configuration.

    Args:
        pipeline: `imaging`, `patients` or `credit`.
        path: YAML file; None for the defaults. Paths inside are relative to the file's folder.
        overrides: `key.path=value`, the value read as YAML.
        scale: Replaces the file's `scale`.

    Raises:
        InputError: The file is missing or not YAML, or a key is unknown, missing or of the
            wrong type; names the key, what was found and what was expected.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides or []:
        _set(values, override)
    if scale is not None:
        values["scale"] = scale
    where = str(path) if path else f"the {pipeline} configuration"
    try:
        config = CONFIGS[pipeline].model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error, values)}") from None
    return _resolve(config, path.parent if path else Path.cwd())


class _OnceEach(yaml.SafeLoader):
    """YAML of which a key stands once: of two, the last would be taken and the first unsaid."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise ConstructorError(None, None, f"key {key.value} stands twice", key.start_mark)
            seen.add(str(key.value))
        return dict(super().construct_mapping(node, deep=deep))


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = _OnceEach(path.read_text(encoding="utf-8")).get_single_data()
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        line = getattr(error, "problem_mark", None)
        place = f", line {line.line + 1}" if line else ""
        raise InputError(f"{path}{place}: not YAML: {getattr(error, 'problem', error)}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def _set(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise InputError(f"--set {override}: expected key.path=value")
    *parents, last = name.split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError(f"--set {override}: {parent} holds a value, not further keys")
        values = inner
    try:
        values[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"--set {override}: the value is not YAML") from None


def _explain(error: ValidationError, values: dict[str, Any]) -> str:
    lines: list[str] = []
    expected: dict[tuple[str, str], list[str]] = {}  # of each branch of a union
    for item in error.errors():
        key = _key(item["loc"], values, missing=item["type"] == "missing")
        found = item.get("input")
        shown = "" if isinstance(found, dict | list) else f", found {found!r}"
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key; docs/configuration.md lists the keys")
        elif item["type"] == "missing":
            lines.append(f"{key}: missing, and needed")
        elif item["type"] == "value_error":
            lines.append(item["msg"].removeprefix("Value error, "))
        else:
            said = item["msg"].removeprefix("Input should be ").partition(", unable")[0]
            expected.setdefault((key, shown), []).append(said)
    lines += [
        f"{key}: expected {' or '.join(dict.fromkeys(said))}{shown}"
        for (key, shown), said in expected.items()
    ]
    return "; ".join(dict.fromkeys(lines))


def _key(place: tuple[int | str, ...], values: Any, *, missing: bool) -> str:
    """The key of a mistake, as a file has it.

    A place also names branches of a union in pydantic's words; those are not in the values.
    """
    parts = []
    for at, part in enumerate(place):
        inside = isinstance(values, dict) and part in values
        if inside or (isinstance(values, list | tuple) and isinstance(part, int)):
            values = values[part]
        elif not (missing and at == len(place) - 1):
            continue
        parts.append(str(part))
    return ".".join(parts) or "the whole"


def _resolve(config: Job, folder: Path) -> Job:
    """Make every path absolute, seen from the configuration file's folder."""
    changes: dict[str, Any] = {}
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, Path):
            changes[name] = (folder / value).resolve()
        elif isinstance(value, Section) and isinstance(getattr(value, "path", None), Path):
            path = (folder / value.path).resolve()  # type: ignore[attr-defined]
            changes[name] = value.model_copy(update={"path": path})
    return config.model_copy(update=changes)
