"""No sharing: a network of its own for every outcome. The control for all that share."""

from __future__ import annotations

from models.multitask.shape import Shape
from models.multitask.sharing.apart import Apart


class Separate(Apart):
    """As many single-outcome networks as outcomes, each as large as the shared one."""

    told = "one network an outcome"
    trains_together = False
    has_shared = False

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, [(name,) for name in shape.sizes])
