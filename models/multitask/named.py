"""Ways of sharing and of balancing by name: a new one is one file, and one line here.

It imports none of them until one is asked for, so that a configuration can be checked in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.by_name import check_settings, found, keywords

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
    check_settings("sharing", sharing, shape.settings, settings_of(sharing))
    made: Network = _sharing(sharing)(shape, **shape.settings)
    return made


def settings_of(sharing: str) -> Mapping[str, float]:
    """What a way of sharing alone takes, with its defaults.

    Raises:
        InputError: There is no such way of sharing.

    >>> settings_of("soft")
    {'tie': 0.01}
    """
    return keywords(_sharing(sharing))


def balance(balancing: str, count: int) -> Balance:
    """What makes one loss of `count` outcomes' losses.

    Raises:
        InputError: There is no such way of balancing.
    """
    kind = found("balancing", balancing, BALANCING, "models.multitask.balancing")
    made: Balance = kind(count)
    return made


def _sharing(name: str) -> Any:
    return found("sharing", name, SHARING, "models.multitask.sharing")
