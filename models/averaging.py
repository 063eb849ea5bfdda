"""The running mean of a net's weights: steadier than the last step, and often better."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class Average:
    """Exponential moving average of weights and buffers (Polyak and Juditsky, 1992).

    After step t, mean ← mean + (1 - d)·(weights - mean), where d is `decay`, or (1 + t)/(10 + t)
    while that is less, so that the first steps are soon forgotten. What does not change stays bit
    for bit, and whole numbers are taken as they are.

    Args:
        model: At the weights to start from.
        decay: Share that the mean keeps in a step, 0 … 1; 0 is no averaging.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> average = Average(model, decay=0.0)
    >>> average.update(model)
    >>> bool(average.state["weight"] == model.weight)
    True
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.state: dict[str, Tensor] = {n: t.clone() for n, t in model.state_dict().items()}

    def update(self, model: nn.Module) -> None:
        """Take one step's weights in."""
        self.steps += 1
        share = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, share)
            else:
                self.state[name].copy_(tensor)

    @contextmanager
    def held_by(self, model: nn.Module) -> Iterator[None]:
        """Within it the model holds the mean; afterwards its own weights again."""
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.state)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def restore(self, state: dict[str, Tensor], steps: int) -> None:
        """Go on from a mean that was saved."""
        for name, tensor in state.items():
            self.state[name].copy_(tensor)
        self.steps = steps


def averaged(model: nn.Module, decay: float | None) -> Average | None:
    """The average of a model's weights; None where none is asked for."""
    return None if decay is None else Average(model, decay)
