"""Ways of sharing and of balancing by name: a new one is one file, and one line here.

It imports none of them until one is asked for, so that a configuration can be checked in a moment.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domains.errors import InputError
from models.by_name import check_settings, found, keywords
from models.multitask.shape import Shape

if TYPE_CHECKING:
    from models.multitask.balancing.balance import Balance
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
EQUAL = "equal"


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


def check_sharing(sharing: str, settings: Mapping[str, float]) -> None:
    """Raise InputError for a setting that a way of sharing has not, or a value that it cannot take.

    Raises:
        InputError: As said; it names the setting.
    """
    network(sharing, Shape(inputs=1, sizes={"a": 1, "b": 1}, hidden=1, settings=settings))


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
    made: Balance = _balancing(balancing)(count)
    return made


def check_pair(sharing: str, balancing: str) -> None:
    """Raise InputError for a way of balancing that a way of sharing leaves nothing to do.

    Raises:
        InputError: There is no such way, or outcomes train apart, or gradients on what they share
            are to be reconciled and they share no parameter.

    >>> check_pair("groups", "pcgrad")
    """
    if balancing == EQUAL and sharing in SHARING:
        return
    way, kind = _sharing(sharing), _balancing(balancing)
    if not way.trains_together:
        raise InputError(
            f"balancing: {balancing} balances outcomes that train together, and with sharing "
            f"{sharing} each trains apart; expected balancing {EQUAL}"
        )
    if kind.needs_shared and not way.has_shared:
        able = ", ".join(name for name in SHARING if _sharing(name).has_shared)
        raise InputError(
            f"balancing: {balancing} reconciles gradients on parameters that outcomes share, and "
            f"sharing {sharing} has none; expected sharing one of {able}, or balancing {EQUAL}"
        )


def check_groups(groups: Sequence[Sequence[str]], outcomes: Collection[str]) -> None:
    """Raise InputError unless groups of outcomes that share name each of them once.

    Raises:
        InputError: An outcome is in no group or in two, or a group is empty or names one that there
            is not.
    """
    named = [name for group in groups for name in group]
    for name in (*named, *outcomes):
        if named.count(name) != 1 or name not in outcomes:
            found = f"outcome {name} is named {named.count(name)} times"
            unknown = f"there is no outcome {name}"
            raise InputError(
                f"groups: {found if name in outcomes else unknown}, expected each of "
                f"{', '.join(outcomes)} once"
            )
    if not all(groups):
        raise InputError("groups: one of them is empty, expected at least one outcome in each")


def told(sharing: str) -> str:
    """What a way of sharing is, in a few words.

    Raises:
        InputError: There is no such way of sharing.
    """
    said: str = _sharing(sharing).told
    return said


def _sharing(name: str) -> Any:
    return found("sharing", name, SHARING, "models.multitask.sharing")


def _balancing(name: str) -> Any:
    return found("balancing", name, BALANCING, "models.multitask.balancing")
