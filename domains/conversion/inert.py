"""Read the data out of a pickle without unpickling it.

A pickle is a program: `pickle.load` imports what it names and calls it. Here its opcodes are only
walked, with a stack of plain values. What the program would import stays a name (`Global`), what
it would call stays a note of the call (`Call`): nothing is imported, called or built. The few
opcodes a plain pickled data frame uses are understood; any other is an error.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NUMBERS = ["BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1"]
_TEXTS = ["BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"]
_BYTES = ["BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"]
_LITERALS = frozenset([*_NUMBERS, *_TEXTS, *_BYTES, "NONE", "NEWTRUE", "NEWFALSE"])
_IGNORED = frozenset(["PROTO", "FRAME", "STOP"])
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class NotPlain(ValueError):
    """The pickle does more than lay out plain data, or lays them out in an unknown way."""


@dataclass(frozen=True)
class Global:
    """The name of something the pickle would import."""

    module: str
    name: str


@dataclass(eq=False)
class Call:
    """A call the pickle would make: of what, with what, and the state it would set afterwards."""

    what: object
    arguments: tuple[Any, ...]
    state: Any = None


class _Machine:
    """Stack, marks and memo of the pickle's virtual machine."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: list[Any] = []

    def above_mark(self) -> list[Any]:
        """Take everything above the last mark."""
        begin = self.marks.pop()
        taken = self.stack[begin:]
        del self.stack[begin:]
        return taken

    def take(self, count: int) -> list[Any]:
        """Take the `count` values on top, lowest first."""
        if len(self.stack) < count:
            raise NotPlain("the stack runs empty")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def top(self, kind: type) -> Any:
        """The value on top, which must be of that kind."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise NotPlain(f"expected a {kind.__name__} on the stack")
        return self.stack[-1]


def _extend(machine: _Machine) -> None:
    items = machine.above_mark()
    machine.top(list).extend(items)


def _set_items(machine: _Machine) -> None:
    items = machine.above_mark()
    machine.top(dict).update(zip(items[::2], items[1::2], strict=True))


def _set_item(machine: _Machine) -> None:
    key, value = machine.take(2)
    machine.top(dict)[key] = value


def _build(machine: _Machine) -> None:
    (state,) = machine.take(1)
    machine.top(Call).state = state


_ACTIONS: dict[str, Callable[[_Machine], None]] = {
    "MARK": lambda m: m.marks.append(len(m.stack)),
    "MEMOIZE": lambda m: m.memo.append(m.stack[-1]),
    "EMPTY_TUPLE": lambda m: m.stack.append(()),
    "EMPTY_LIST": lambda m: m.stack.append([]),
    "EMPTY_DICT": lambda m: m.stack.append({}),
    "TUPLE": lambda m: m.stack.append(tuple(m.above_mark())),
    "TUPLE1": lambda m: m.stack.append(tuple(m.take(1))),
    "TUPLE2": lambda m: m.stack.append(tuple(m.take(2))),
    "TUPLE3": lambda m: m.stack.append(tuple(m.take(3))),
    "STACK_GLOBAL": lambda m: m.stack.append(Global(*m.take(2))),
    "REDUCE": lambda m: m.stack.append(Call(*m.take(2))),
    "NEWOBJ": lambda m: m.stack.append(Call(*m.take(2))),
    "BUILD": _build,
    "APPENDS": _extend,
    "SETITEMS": _set_items,
    "SETITEM": _set_item,
}


def parse(data: bytes) -> Any:
    """The tree of plain values, names and noted calls that the pickle lays out.

    Raises:
        NotPlain: An opcode outside those few, or a stack that does not add up.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(data):
            _step(machine, opcode.name, argument)
    except (IndexError, TypeError, ValueError) as error:
        raise NotPlain(f"not a plain pickle: {error}") from None
    if len(machine.stack) != 1:
        raise NotPlain(f"the pickle leaves {len(machine.stack)} values, expected one")
    return machine.stack[0]


def _step(machine: _Machine, name: str, argument: Any) -> None:
    if name in _LITERALS:
        machine.stack.append(_VALUES.get(name, argument))
    elif name in ("BINGET", "LONG_BINGET"):
        machine.stack.append(machine.memo[argument])
    elif name in _ACTIONS:
        _ACTIONS[name](machine)
    elif name not in _IGNORED:
        raise NotPlain(f"opcode {name} has no place in plain data")
