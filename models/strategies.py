"""Federated strategies by name: a new one is one file in `models/federated/` and one line here.

It imports none of them until one is asked for, so that a configuration can be checked in a moment.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from domains.errors import InputError

if TYPE_CHECKING:
    from models.federated.fedavg import FedAvg

STRATEGIES = {
    "fedavg": "fedavg.FedAvg",
    "fedprox": "fedprox.FedProx",
    "fedadam": "fedadam.FedAdam",
    "scaffold": "scaffold.Scaffold",
    "median": "median.Median",
    "trimmed-mean": "trimmed_mean.TrimmedMean",
}
"""Name → file and class."""


def make(name: str, settings: Mapping[str, float], **shared: Any) -> FedAvg:
    """A fresh strategy.

    Args:
        name: One of `STRATEGIES`.
        settings: Keywords that this strategy alone takes.
        shared: What each of them takes; see `FedAvg`.

    Raises:
        InputError: There is no such strategy, it has no such setting, or a value is out of its
            range.
    """
    own = settings_of(name)
    for key in settings:
        if key not in own:
            known = ", ".join(own) or "none"
            raise InputError(f"{key}: no setting of strategy {name}, which has: {known}")
    made: FedAvg = _class(name)(**shared, **settings)
    return made


def settings_of(name: str) -> dict[str, float]:
    """What a strategy alone takes, with its defaults.

    Raises:
        InputError: There is no such strategy.

    >>> settings_of("fedprox")
    {'mu': 0.1}
    """
    taken = inspect.signature(_class(name)).parameters.values()
    return {each.name: each.default for each in taken if each.kind is each.KEYWORD_ONLY}


def _class(name: str) -> Any:
    if name not in STRATEGIES:
        raise InputError(f"strategy: found {name!r}, expected one of {', '.join(STRATEGIES)}")
    file, _, kind = STRATEGIES[name].partition(".")
    return getattr(import_module(f"models.federated.{file}"), kind)
