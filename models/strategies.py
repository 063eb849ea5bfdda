"""Federated strategies by name: a new one is one file in `models/federated/` and one line here.

It imports none of them until one is asked for, so that a configuration can be checked in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.by_name import check_settings, found, keywords

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
    check_settings("strategy", name, settings, settings_of(name))
    made: FedAvg = _class(name)(**shared, **settings)
    return made


def settings_of(name: str) -> dict[str, float]:
    """What a strategy alone takes, with its defaults.

    Raises:
        InputError: There is no such strategy.

    >>> settings_of("fedprox")
    {'mu': 0.1}
    """
    return keywords(_class(name))


def _class(name: str) -> Any:
    return found("strategy", name, STRATEGIES, "models.federated")
