"""`python -m pipelines.services COMMAND`: what the Makefile and the supervisor call."""

from __future__ import annotations

import importlib
import sys

from domains.errors import InputError
from pipelines.cli import guarded
from pipelines.services import addresses

_COMMANDS = {
    "up": ("up", "up"),
    "down": ("down", "down"),
    "deploy": ("deploy", "deploy"),
    "supervise": ("supervisor", "main"),
    "recover": ("recover", "recover"),
}


def main() -> int:
    """Run the command that is named."""
    name = " ".join(sys.argv[1:])
    if name.startswith("address "):
        return _address(name.removeprefix("address "))
    if name not in _COMMANDS:
        raise InputError(f"{name!r}: expected one of {', '.join(_COMMANDS)}, address SERVICE")
    module, function = _COMMANDS[name]
    code: int = getattr(importlib.import_module(f"pipelines.services.{module}"), function)()
    return code


def _address(name: str) -> int:
    """Print the address of a running server; 1 when it does not run."""
    found = addresses().get(name)
    if found:
        print(found)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
