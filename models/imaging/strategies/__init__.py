"""Ways to learn from a few images on top of a base: a new one is one file and one line here.

Each file has one function of one signature, `(net, examples, tuning, progress, checkpoint)`, and
keywords of its own after it; it trains the net in place and returns what it `Learned`. None of them
is imported until it is asked for, so that a configuration can be checked in a moment.

>>> settings_of("partial")
{'blocks': 4}
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from models.by_name import keywords

if TYPE_CHECKING:
    from models.imaging.strategies.learned import Learned

STRATEGIES = {
    "transfer": "transfer",
    "partial": "partial",
    "gradual": "gradual",
    "lp-ft": "lp_ft",
    "l2-sp": "l2_sp",
    "finetune": "finetune",
}
"""Name → file, and the function in it; the simplest first, which is how ties are settled."""

FROZEN = frozenset({"transfer"})
"""Strategies that leave every tensor of the base as it was."""


def make(name: str, settings: Mapping[str, float] | None = None) -> Callable[..., Learned]:
    """A strategy with its settings.

    Args:
        name: One of `STRATEGIES`.
        settings: Keywords that this strategy alone takes.

    Raises:
        ValueError: There is no such strategy or setting, or a value is out of its range.
    """
    own = settings_of(name)
    for key, value in (settings or {}).items():
        if key not in own:
            known = ", ".join(own) or "none"
            raise ValueError(f"{name}.{key}: no setting of {name}, which has: {known}")
        whole = isinstance(own[key], int)
        if value < 0 or (whole and value != int(value)):
            expected = "a whole number from 0" if whole else "a number from 0"
            raise ValueError(f"{name}.{key}: expected {expected}, found {value!r}")
    given = {key: type(own[key])(value) for key, value in (settings or {}).items()}
    return functools.partial(_function(name), **given)


def settings_of(name: str) -> dict[str, float]:
    """What a strategy alone takes, with its defaults.

    Raises:
        ValueError: There is no such strategy.
    """
    return keywords(_function(name))


def _function(name: str) -> Any:
    if name not in STRATEGIES:
        raise ValueError(f"expected one of {', '.join(STRATEGIES)}, found {name!r}")
    file = STRATEGIES[name]
    return getattr(import_module(f"models.imaging.strategies.{file}"), file)
