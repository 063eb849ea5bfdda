"""What every way of sharing is: a network, and what of it belongs to whom."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from models.multitask.shape import Shape


class Network(nn.Module):
    """Encoded features → every outcome's logits, (n, inputs) → (n, members, size) each.

    A way of sharing takes a `Shape`, and keywords of its own, which have defaults.
    """

    told: ClassVar[str] = ""
    """What it is, in a few words for reports."""
    trains_together: ClassVar[bool] = True
    """Whether outcomes train together, so that there is something to balance."""
    has_shared: ClassVar[bool] = True
    """Whether outcomes have parameters in common, so that gradients on them can be reconciled."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.names = tuple(shape.sizes)

    def independent(self) -> list[Network]:
        """Parts that share no parameter, to be trained and stopped apart: the whole, if any do."""
        return [self]

    def shared(self) -> list[nn.Parameter]:
        """Parameters that more than one outcome's loss reaches."""
        return []

    def penalty(self) -> Tensor | None:
        """What is added to the loss, if anything."""
        return None
