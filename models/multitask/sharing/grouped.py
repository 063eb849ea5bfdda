"""Hard sharing within groups of outcomes, and none between them."""

from __future__ import annotations

from domains.errors import InputError
from models.multitask.shape import Shape
from models.multitask.sharing.apart import Apart


class Grouped(Apart):
    """A trunk a group, a head an outcome (Standley et al., ICML 2020, arXiv:1905.07553).

    Args:
        shape: Of the network; its groups hold every outcome once. None: all share one trunk.

    Raises:
        InputError: An outcome is in no group or in two, or a group names one that there is not.
    """

    told = "a trunk a group of outcomes, a head an outcome"

    def __init__(self, shape: Shape) -> None:
        groups = shape.groups or (tuple(shape.sizes),)
        named = [name for group in groups for name in group]
        for name in {*named, *shape.sizes}:
            if named.count(name) != 1 or name not in shape.sizes:
                raise InputError(
                    f"groups: outcome {name} is named {named.count(name)} times, expected each of "
                    f"{', '.join(shape.sizes)} once"
                )
        super().__init__(shape, groups)
