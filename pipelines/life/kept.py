"""What a stage hands on, as JSON that its declared type reads back: no pickle, no import by name.

Dataclasses become objects that name their class; when they are read, only the declared class and
its subclasses may answer to that name. Beside them go JSON's own values, paths, times, lists,
tuples, sets and mappings with text as keys.

>>> from typing import Any
>>> decode(tuple[Path, ...], encode((Path("a"), Path("b"))))
(PosixPath('a'), PosixPath('b'))
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pandas as pd

_CLASS = "class"


def encode(value: Any) -> Any:
    """JSON values of what a stage returned.

    Raises:
        TypeError: It holds something that has no form in JSON, such as an array or a network:
            those belong in a file, and the path is what is handed on.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        held = {field.name: encode(getattr(value, field.name)) for field in fields(value)}
        return {_CLASS: type(value).__name__, **held}
    if isinstance(value, Path | pd.Timestamp):
        return str(value)
    if isinstance(value, Mapping):
        return {_text(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [encode(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a numpy scalar
        return value.item()
    raise TypeError(f"a stage returned {type(value).__name__}, which cannot be written as JSON")


def decode(declared: Any, value: Any) -> Any:
    """A value of the declared type, from what `encode` made of one.

    Raises:
        TypeError, ValueError, KeyError: It is none of that type.
    """
    origin, arguments = get_origin(declared), get_args(declared)
    if declared is Any or origin is Literal:
        return value
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value)
    if is_dataclass(declared):
        return _instance(_named(declared, value), value)
    if origin is None:
        return _plain(declared, value)
    if issubclass(origin, Mapping):
        inner = arguments[1] if arguments else Any
        return {key: decode(inner, item) for key, item in _expect(dict, value).items()}
    if issubclass(origin, tuple):
        return tuple(_items(arguments, _expect(list, value)))
    kind: Any = frozenset if issubclass(origin, frozenset | set) else list
    return kind(decode(arguments[0], item) for item in _expect(list, value))


def _plain(declared: Any, value: Any) -> Any:
    if declared in (None, type(None)):
        if value is not None:
            raise TypeError(f"expected nothing, found {type(value).__name__}")
        return None
    if declared in (Path, pd.Timestamp):
        return declared(_expect(str, value))
    if declared is float:
        return float(_expect((int, float), value))
    if declared in (str, int, bool):
        return _expect(declared, value)
    if declared in (dict, list):
        return _expect(declared, value)
    raise TypeError(f"{declared} has no form in JSON")


def _one_of(members: Iterable[Any], value: Any) -> Any:
    """The value's own type if a union names it, or the first member that it can be; a class only
    by its name."""
    for member in sorted(members, key=lambda member: member is not type(value)):
        try:
            return decode(member, value)
        except (TypeError, ValueError, KeyError):
            continue
    raise TypeError(f"{type(value).__name__} is none of {members}")


def _items(arguments: tuple[Any, ...], value: Collection[Any]) -> list[Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return [decode(arguments[0], item) for item in value]
    return [decode(kind, item) for kind, item in zip(arguments, value, strict=True)]


def _instance(cls: Any, value: Mapping[str, Any]) -> Any:
    hints = get_type_hints(cls)
    return cls(**{f.name: decode(hints[f.name], value[f.name]) for f in fields(cls)})


def _named(declared: Any, value: Any) -> Any:
    name = _expect(dict, value)[_CLASS]
    for cls in (declared, *_below(declared)):
        if cls.__name__ == name:
            return cls
    raise TypeError(f"{name} is no {declared.__name__}")


def _below(cls: Any) -> Iterable[Any]:
    for each in cls.__subclasses__():
        yield each
        yield from _below(each)


def _expect(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {kind}, found {type(value).__name__}")
    return value


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a stage returned a mapping with a key of {type(key).__name__}")
    return key
