"""On what terms clients take part: how often, with what weight, and how far each may move.

Privacy: nothing here makes a client cheaper. An owner is charged for every round of its plan,
whether it was drawn or not, and no amplification is claimed for rounds it sat out, for it knows
which. A client that was drawn has noised its update before anyone looks whether it came in time or
may count; one that was not drawn has no record touched. Of a private run both draws come from the
operating system; else from seed, round and name, so that a resumed run draws the same.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from domains.errors import InputError
from models.federated.clients import Client
from models.federated.limits import within

NOT_DRAWN = "not drawn"
NO_ANSWER = "no answer in time"


@dataclass(frozen=True)
class Terms:
    """What holds for every client alike.

    Attributes:
        weights: Clients count by their public numbers of records, or all the same.
        participation: Share of the clients drawn for each round, rounded up.
        dropout: Chance of a drawn client's update to be lost or late, as a rehearsal of that.
        times_median: How many times the round's median length an update may have, or its own
            expected noise, if that is longer; None: any length.
        longest: Public bound on an update's length, in the units of the weights; None: none.
        beyond: What becomes of a longer one.

    Raises:
        InputError: One of them is out of its range.
    """

    weights: Literal["size", "equal"] = "size"
    participation: float = 1.0
    dropout: float = 0.0
    times_median: float | None = None
    longest: float | None = None
    beyond: Literal["exclude", "clip"] = "exclude"

    def __post_init__(self) -> None:
        within("participation", self.participation, 0.0, 1.0, ends="(]")
        within("dropout", self.dropout, 0.0, 1.0, ends="[)")
        if self.times_median is not None:
            within("times_median", self.times_median, 1.0, math.inf, ends="[)")
        if self.longest is not None:
            within("longest", self.longest, 0.0, math.inf, ends="()")

    def drawn(self, clients: int) -> int:
        """How many of so many clients take part in a round.

        >>> Terms(participation=0.5).drawn(5)
        3
        """
        return max(1, math.ceil(self.participation * clients - 1e-9))

    def check(self, clients: int, least: int, strategy: str) -> None:
        """Refuse a job whose rounds have too few clients even if all answer.

        Raises:
            InputError: Fewer are drawn than the strategy needs.
        """
        if (found := self.drawn(clients)) < least:
            raise InputError(
                f"{strategy}: found {found} of {clients} clients a round, expected at least "
                f"{least}; name more clients, raise participation, or choose another strategy"
            )


EVERYONE = Terms()
"""All clients in every round, by their numbers of records, however far they move."""


def call(terms: Terms, clients: Sequence[Client], number: int, seed: int | None) -> dict[int, str]:
    """Who is missing from a round: place of the client → why.

    Args:
        terms: How often clients take part.
        clients: In their order.
        number: Of the round.
        seed: None: the operating system draws.
    """
    missing = {}
    if (drawn := terms.drawn(len(clients))) < len(clients):
        order = np.argsort(_uniform(clients, f"{seed} {number} drawn", seed is None))
        missing = dict.fromkeys(order[drawn:].tolist(), NOT_DRAWN)
    if terms.dropout:
        fate = _uniform(clients, f"{seed} {number} answer", seed is None)
        lost = np.flatnonzero(fate < terms.dropout).tolist()
        missing = dict.fromkeys(lost, NO_ANSWER) | missing
    return missing


def _uniform(clients: Sequence[Client], said: str, private: bool) -> np.ndarray:
    """A number in [0, 1) for each client, (clients,)."""
    if private:
        drawn = os.urandom(8 * len(clients))
    else:
        named = (f"{said} {client.name}".encode() for client in clients)
        drawn = b"".join(hashlib.blake2b(each, digest_size=8).digest() for each in named)
    numbers: np.ndarray = (np.frombuffer(drawn, "<u8") >> np.uint64(11)) * 2.0**-53
    return numbers
