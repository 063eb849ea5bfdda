"""What a federated algorithm is: what it does to the clients' steps, and what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from models.federated.stack import State


class Strategy(Protocol):
    """A federated algorithm: correct the clients' steps, fold what came back.

    Stacked tensors hold all clients, in one order for the whole run: what a strategy keeps of each
    client has the same first dimension. Its `repr` tells its settings: a checkpoint belongs to one
    strategy.

    Attributes:
        learning_rate: Of the clients' steps.
        least: Clients that a round needs.
    """

    learning_rate: float
    least: int

    def begin(self, shares: Tensor) -> None:
        """Told before the first round, and after `restore`.

        Args:
            shares: Of all clients, (clients,), that add up to 1.
        """

    def correct(self, gradients: State, params: State, start: State, /) -> State:
        """What each client steps along, after its noise.

        Args:
            gradients, params: Of each client, (clients, *shape); the gradients may be changed in
                place.
            start: The global parameters of this round, (*shape).
        """

    def fold(self, start: State, updates: State, weights: Tensor) -> State:
        """The next global parameters, (*shape).

        Args:
            start: The last ones, (*shape).
            updates: Each client's change of them, (clients, *shape); zeros of one that was not
                there, or whose update is not taken.
            weights: Shares of the clients, (clients,), that add up to 1; 0 for such a one.
        """

    def result(self, state: State, number: int, rounds: int) -> State:
        """What a training of so many rounds has come to after round `number`; told every round."""

    def state(self) -> dict[str, Tensor]:
        """What it carries from round to round, computed from updates that left their clients."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` told."""
