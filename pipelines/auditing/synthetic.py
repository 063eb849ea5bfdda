"""Made-up clients of the shape of a run's, with canaries among their records.

A canary is a record that is nothing but one enormous value in a column of its own, which no other
record of its client uses: its clipped gradient lies in that column, all of it, and nothing hides it
but noise (Nasr et al., "Adversary instantiation", S&P 2021: a Dirac gradient is the strongest).
Flipped labels would prove nothing: they drown in the other records. Each canary is there or not by
a fair coin of its own, from the operating system. Further columns hold no record at all: what is
seen to change there is noise alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models import scorecard
from models.credit import build
from models.federated import Client
from pipelines.auditing.claim import Claim
from privacy import noise
from privacy.dpsgd import mean_cross_entropy

_CANARIES = 2000  # in all, shared out among the clients
_FEWEST, _MOST = 4, 700  # at one client
_UNUSED = 64  # columns, at least
_DRAWS = 1 << 17  # of noise in them, if they take up no more than so many values of records:
_SPARE = 1 << 22
_CELLS = 1 << 25  # values of all records together: 128 MB
_ROW_NORM = 1.0
STILL = 1e-2
"""How far a canary's inputs to the first layer may move in a round: it stays what it was."""


@dataclass(frozen=True)
class Layout:
    """Which columns are whose: the run's own codes first, then the canaries', then nobody's.

    Attributes:
        codes: As many as the run's records have.
        canaries: Of one client; clients share the columns, since none sees another's records.
        unused: Columns that are 0 in every record.
    """

    codes: int
    canaries: int
    unused: int = _UNUSED

    @property
    def width(self) -> int:
        """All columns."""
        return self.codes + self.canaries + self.unused

    @property
    def own(self) -> slice:
        """The canaries' columns."""
        return slice(self.codes, self.codes + self.canaries)

    @property
    def empty(self) -> slice:
        """Nobody's columns."""
        return slice(self.codes + self.canaries, self.width)


def layout_of(claim: Claim) -> Layout:
    """As many canaries as clients can share out, in columns beside the run's codes; and unused
    columns for many draws of noise, where records are few enough."""
    clients = len(claim.records)
    canaries = min(max(-(-_CANARIES // clients), _FEWEST), _MOST)
    outputs = 1 if claim.model == "scorecard" else claim.hidden
    wanted = -(-_DRAWS // (clients * claim.plan.rounds * outputs))
    room = _SPARE // max(int(sum(claim.records)), 1)
    return Layout(claim.codes, canaries, max(min(wanted, room), _UNUSED))


def start_of(claim: Claim, layout: Layout) -> nn.Module:
    """The run's net, wider, and 0 in the columns that are not codes, so that a change shows.

    First weights are public, and whoever coordinates may choose them: so may an audit.
    """
    scored = claim.model == "scorecard"
    model = scorecard.build(layout.width) if scored else build(layout.width, claim.hidden)
    with torch.no_grad():
        next(model.parameters())[:, layout.codes :] = 0.0
    return model


def canary_rows(layout: Layout, which: Sequence[int] | np.ndarray, size: float) -> Tensor:
    """Records with `size` in a column of their own, (n, width)."""
    rows = torch.zeros(len(which), layout.width)
    for row, number in enumerate(which):
        rows[row, layout.codes + int(number)] = size
    return rows


def toss(clients: int, canaries: int) -> np.ndarray:
    """Which canary is there, (clients, canaries) bool."""
    coins: np.ndarray = noise.bernoulli(clients * canaries, 0.5).reshape(clients, canaries)
    return coins


def make_clients(
    claim: Claim, layout: Layout, coins: np.ndarray, size: float
) -> tuple[list[Client], int]:
    """A client for each of the run's, its canaries among ordinary records; and the records' number.

    The public number of records is the run's. Where records of all clients together would not fit
    into memory, fewer are made: a column without them looks the same. They lie in one array, as
    a run's do.
    """
    most, there = _CELLS // (layout.width * len(claim.records)), coins.sum(axis=1)
    expected = np.rint(claim.records).astype(int)
    ordinary = np.minimum(np.maximum(expected - there, 0), most)
    ends = np.cumsum(ordinary + there)
    x, y = background(layout, int(ends[-1]))
    clients = []
    for number, (end, canaries) in enumerate(zip(ends, there, strict=True)):
        rows = slice(int(end - canaries - ordinary[number]), int(end))
        x[end - canaries : end] = canary_rows(layout, np.flatnonzero(coins[number]), size)
        y[end - canaries : end] = 1.0
        clients.append(Client(name_of(number), x[rows], y[rows], claim.records[number]))
    return clients, int(ends[-1])


def name_of(number: int) -> str:
    """Of a client; sorts as its number does, for engines take clients by records and names."""
    return f"client {number + 1:06d}"


def background(layout: Layout, rows: int) -> tuple[Tensor, Tensor]:
    """Ordinary records, (n, width) and (n,): codes of norm 1 or less, and any outcome."""
    x = torch.zeros(rows, layout.width)
    x[:, : layout.codes] = torch.rand(rows, layout.codes) * (_ROW_NORM / layout.codes**0.5)
    return x, torch.randint(0, 2, (rows,)).float()


def empty_clients(claim: Claim, width: int) -> list[Client]:
    """The run's clients without a single record: all that leaves them is noise."""
    return [
        Client(name_of(number), torch.zeros(0, width), torch.zeros(0), expected)
        for number, expected in enumerate(claim.records)
    ]


@dataclass(frozen=True)
class Canary:
    """What a canary does to the update of its client.

    Attributes:
        size: Its value in its own column.
        direction: Of its gradient in the first layer's weights at that column, (out,), length 1.
        strength: Share of the clip norm that lies there.
    """

    size: float
    direction: np.ndarray
    strength: float


def size_of_a_canary(clip_norm: float) -> float:
    """A value whose gradient is cut off whatever the net."""
    return 1e3 * max(1.0, clip_norm)


def canary_of(claim: Claim, layout: Layout) -> Canary:
    """The canaries of a claim: all alike but for their columns."""
    model, size = start_of(claim, layout), size_of_a_canary(claim.plan.clip_norm)
    loss = mean_cross_entropy(model(canary_rows(layout, [0], size)), torch.ones(1))
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    whole = sum(float((part.double() ** 2).sum()) for part in gradient) ** 0.5
    column = gradient[0][:, layout.codes].double().numpy()
    length = float(np.linalg.norm(column))
    reach = min(whole / claim.plan.clip_norm, 1.0)
    return Canary(size, column / length, reach * length / whole)
