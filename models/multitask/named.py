"""Ways of sharing and of balancing by name: a new one is one file, and one line here.

It imports none of them until one is asked for, so that a configuration can be checked in a moment.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from domains.errors import InputError

if TYPE_CHECKING:
    from models.multitask.balancing.balance import Balance
    from models.multitask.shape import Shape
    from models.multitask.sharing.network import Network

SHARING = {
    "none": "none.Separate",
    "hard": "hard.Hard",
    "soft": "soft.Soft",
    "cross-stitch": "cross_stitch.CrossStitch",
    "mmoe": "mmoe.MixtureOfExperts",
    "groups": "grouped.Grouped",
}
BALANCING = {
    "equal": "equal.Equal",
    "uncertainty": "uncertainty.Uncertainty",
    "random": "random_weights.RandomWeights",
    "pcgrad": "pcgrad.PCGrad",
    "upgrad": "upgrad.UPGrad",
}
"""Name → file and class."""


def network(sharing: str, shape: Shape) -> Network:
    """A network with fresh weights.

    Args:
        sharing: One of `SHARING`.
        shape: Of the network; its settings are those that this way of sharing takes.

    Raises:
        InputError: There is no such way of sharing, or it has no such setting.
    """
    made = _class("sharing", sharing, SHARING)
    own = settings_of(sharing)
    for key in shape.settings:
        if key not in own:
            listed = ", ".join(own) or "none"
            raise InputError(f"{key}: no setting of sharing {sharing}, which has: {listed}")
    built: Network = made(shape, **shape.settings)
    return built


def settings_of(sharing: str) -> Mapping[str, float]:
    """What a way of sharing alone takes, with its defaults.

    Raises:
        InputError: There is no such way of sharing.

    >>> settings_of("soft")
    {'tie': 0.01}
    """
    taken = inspect.signature(_class("sharing", sharing, SHARING)).parameters.values()
    return {each.name: each.default for each in taken if each.kind is each.KEYWORD_ONLY}


def balance(balancing: str, count: int) -> Balance:
    """What makes one loss of `count` outcomes' losses.

    Raises:
        InputError: There is no such way of balancing.
    """
    made: Balance = _class("balancing", balancing, BALANCING)(count)
    return made


def _class(kind: str, name: str, known: Mapping[str, str]) -> Any:
    if name not in known:
        raise InputError(f"{kind}: found {name!r}, expected one of {', '.join(known)}")
    file, _, made = known[name].partition(".")
    return getattr(import_module(f"models.multitask.{kind}.{file}"), made)
