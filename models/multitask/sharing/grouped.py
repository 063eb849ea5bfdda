"""Hard sharing within groups of outcomes, and none between them."""

from __future__ import annotations

from models.multitask.named import check_groups
from models.multitask.shape import Shape
from models.multitask.sharing.apart import Apart


class Grouped(Apart):
    """A trunk a group, a head an outcome (Standley et al., ICML 2020, arXiv:1905.07553).

    Args:
        shape: Of the network; its groups hold every outcome once. None: all share one trunk.

    Raises:
        InputError: See `check_groups`.
    """

    told = "a trunk a group of outcomes, a head an outcome"

    def __init__(self, shape: Shape) -> None:
        groups = shape.groups or (tuple(shape.sizes),)
        check_groups(groups, shape.sizes)
        super().__init__(shape, groups)
