"""Rounds of federated learning: every client trains from the global model, the updates are folded.

Unit, neighbours, ε and δ are the plan's (`privacy.plan`). What leaves a client is its update after
the last noised step; everything here is computed from such updates and from public numbers, and
costs no further privacy. Every client takes part in every round.

With a checkpoint, a round is done when its result is on disk. A private run that was killed reuses
every such round; the round it was in may have been noised without a trace, and is charged again
before it is taken again. Without privacy, the resumed run ends in the same weights bit by bit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from models.checkpoint import Checkpoint
from models.training import shapes
from privacy.plan import PrivacyPlan, Schedule

_GLOBAL, _CARRIED = "global.", "strategy."

State = list[Tensor]
Point = dict[str, float]


@dataclass(frozen=True)
class Client:
    """One owner's training records, and how much of the average it is.

    Attributes:
        name: Of the client.
        features, target: Training records, (n, d) and (n,), float32; n may be 0.
        records: Public number of training records expected of this client: its weight in the
            average, and sampling rate × records the denominator of its gradients.
    """

    name: str
    features: Tensor
    target: Tensor
    records: float


class Strategy(Protocol):
    """A federated algorithm: train one client, fold what came back.

    Its `repr` tells its settings: a checkpoint belongs to one strategy.
    """

    def train(self, model: nn.Module, client: Client, schedule: Schedule) -> None:
        """Train `model` in place on one client's records, for one round."""

    def fold(self, state: State, updates: Sequence[State], weights: Sequence[float]) -> State:
        """The next global parameters, from the last ones and each client's change of them."""

    def state(self) -> dict[str, Tensor]:
        """What it carries from round to round, computed from updates that left their clients."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` told."""


@dataclass
class Rounds:
    """How far a training came.

    Attributes:
        history: One mapping a round: its number, and the length of the global step. Nothing else
            is measured, for anything measured on training records would have to be charged.
        seconds: Wall time, attempts before this one included.
    """

    history: list[Point] = field(default_factory=list)
    seconds: float = 0.0


def run(
    model: nn.Module,
    clients: Sequence[Client],
    schedule: Schedule,
    strategy: Strategy,
    progress: Callable[[int], None] | None = None,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    before_training: Callable[[int], None] | None = None,
) -> Rounds:
    """Train `model` in place for `schedule.rounds` rounds.

    Args:
        model: Starts as the global model and ends as it.
        clients: Who takes part; one client is central training.
        schedule: Rounds, steps and sampling; a `PrivacyPlan` trains with its noise.
        strategy: The algorithm; it may keep state of its own, so use a fresh one for every run.
        progress: Told the number of each round that is done.
        seed: Of the sampling without privacy, together with round and client.
        checkpoint: Saved after every round of a private run, and when it is due without privacy.
        before_training: Told, before a private run goes on, how many rounds an earlier attempt
            may have noised whose result is lost. It charges them, or raises.
    """
    described = (seed, schedule, strategy, _public(clients), shapes(model))
    kept = checkpoint.of(*described) if checkpoint else None
    private = isinstance(schedule, PrivacyPlan)
    rounds = (_resumed(kept, model, strategy) if kept else None) or Rounds()
    if kept and private:
        _settle(kept, model, strategy, rounds, schedule, before_training)
    earlier, started = rounds.seconds, time.perf_counter()
    for number in range(len(rounds.history) + 1, schedule.rounds + 1):
        before = _state(model)
        updates = []
        for client in clients:
            with _draws(seed, number, client):
                updates.append(_update(model, before, client, schedule, strategy))
        step = _fold(model, before, updates, clients, strategy)
        rounds.history.append({"round": float(number), "step_length": step})
        rounds.seconds = earlier + time.perf_counter() - started
        if kept and (private or number == schedule.rounds or kept.due()):
            _save(kept, model, strategy, rounds)
        if progress is not None:
            progress(number)
    return rounds


def _fold(
    model: nn.Module,
    before: State,
    updates: Sequence[State],
    clients: Sequence[Client],
    strategy: Strategy,
) -> float:
    """Move the global model by its clients' updates; returns how far."""
    total = sum(client.records for client in clients)
    after = strategy.fold(before, updates, [client.records / total for client in clients])
    _load(model, after)
    squares = (float(((a - b) ** 2).sum()) for a, b in zip(after, before, strict=True))
    return sum(squares) ** 0.5


def _settle(
    kept: Checkpoint,
    model: nn.Module,
    strategy: Strategy,
    rounds: Rounds,
    schedule: Schedule,
    before_training: Callable[[int], None] | None,
) -> None:
    """Have lost rounds charged, and leave a sign on disk before the first record is noised."""
    begun = kept.path.exists()
    unfinished = len(rounds.history) < schedule.rounds
    lost = int(unfinished) if begun else schedule.rounds * kept.set_aside
    if lost and before_training is not None:
        before_training(lost)
    if not begun:
        _save(kept, model, strategy, rounds)


def _resumed(kept: Checkpoint, model: nn.Module, strategy: Strategy) -> Rounds | None:
    found = kept.load()
    if found is None:
        return None
    tensors, facts = found
    carried = {name: tensor for name, tensor in tensors.items() if not name.startswith(_GLOBAL)}
    strategy.restore({name.removeprefix(_CARRIED): tensor for name, tensor in carried.items()})
    _load(model, [tensors[f"{_GLOBAL}{i}"] for i in range(len(tensors) - len(carried))])
    return Rounds(**facts)


def _save(kept: Checkpoint, model: nn.Module, strategy: Strategy, rounds: Rounds) -> None:
    tensors = {f"{_GLOBAL}{i}": value for i, value in enumerate(_state(model))}
    tensors |= {f"{_CARRIED}{name}": value for name, value in strategy.state().items()}
    kept.save(tensors, vars(rounds))


def _public(clients: Sequence[Client]) -> list[tuple[str, float]]:
    return [(client.name, client.records) for client in clients]


@contextmanager
def _draws(seed: int, number: int, client: Client) -> Iterator[None]:
    """torch's generator at a place of its own for each round of each client.

    Sampling without privacy draws from it; what a client draws depends on no other client, and a
    resumed run draws what it would have drawn. Private sampling and noise take no seed.
    """
    said = hashlib.blake2b(f"{seed} {number} {client.name}".encode(), digest_size=8).digest()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int.from_bytes(said, "little"))
        yield


def _update(
    model: nn.Module, state: State, client: Client, schedule: Schedule, strategy: Strategy
) -> State:
    _load(model, state)
    strategy.train(model, client, schedule)
    return [new - old for new, old in zip(_state(model), state, strict=True)]


def _state(model: nn.Module) -> State:
    return [parameter.detach().clone() for parameter in model.parameters()]


def _load(model: nn.Module, state: State) -> None:
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), state, strict=True):
            parameter.copy_(value)
