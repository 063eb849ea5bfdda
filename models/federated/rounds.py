"""Rounds of federated learning: every client trains from the global model, the updates are folded.

Unit, neighbours, ε and δ are the plan's (`privacy.plan`). What leaves a client is its update after
the last noised step; everything here is computed from such updates and from public numbers, and
costs no further privacy. Every client takes part in every round, unless the `Terms` say otherwise;
each is charged for every round, whether it took part or not.

With a checkpoint, a round is done when its result is on disk. A private run that was killed reuses
every such round; the round it was in may have been noised without a trace, and is charged again
before it is taken again. Without privacy, the resumed run ends in the same weights bit by bit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from models.checkpoint import Checkpoint
from models.federated.clients import Client, in_order
from models.federated.lost import settle
from models.federated.nets import layers_of
from models.federated.screening import Conduct, expected_noise, note, screen, shares_of
from models.federated.stack import Stack, State, load, parameters
from models.federated.stacked import Stacked
from models.federated.strategy import Strategy
from models.federated.terms import EVERYONE, NOT_DRAWN, Terms, call
from models.training import shapes
from privacy.plan import PrivacyPlan, Schedule

_GLOBAL, _CARRIED = "global.", "strategy."

Point = dict[str, float]


class Engine(Protocol):
    """Computes all clients' gradients."""

    def gradients(
        self,
        params: State,
        out: Stack,
        draws: Sequence[torch.Generator],
        alike: bool,
        taking: np.ndarray | None = None,
    ) -> None:
        """See `stacked.Stacked.gradients`."""


@dataclass
class Rounds:
    """How far a training came.

    Attributes:
        history: One mapping a round: its number, the length of the global step, and how many
            clients' updates counted. Nothing else is measured, for anything measured on training
            records would have to be charged.
        seconds: Wall time, attempts before this one included.
        conduct: Of each client whose update did not count as sent: why → in how many rounds.
    """

    history: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    conduct: Conduct = field(default_factory=dict)


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
    terms: Terms = EVERYONE,
) -> Rounds:
    """Train `model` in place for `schedule.rounds` rounds.

    The order of `clients` changes nothing. Clients are trained side by side where the net allows
    it (`nets.layers_of`), else one after the other.

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
        terms: How often clients take part, with what weight, and how far each may move.

    Raises:
        InputError: An expected batch is not a positive number, a layer mixes records, or the
            strategy needs more clients.
        Interrupted: In one round too few clients' updates count; earlier rounds are kept.
    """
    clients = in_order(clients)
    terms.check(len(clients), strategy.least, _named(strategy))
    described = (seed, schedule, strategy, _public(clients), shapes(model), terms)
    kept = checkpoint.of(*described) if checkpoint else None
    private = isinstance(schedule, PrivacyPlan)
    rounds = (_resumed(kept, model, strategy) if kept else None) or Rounds()
    if kept and private:
        done, save = len(rounds.history), partial(_save, kept, model, strategy, rounds)
        settle(kept, done, schedule.rounds, before_training, save)
    if len(rounds.history) == schedule.rounds:
        return rounds
    earlier, started = rounds.seconds, time.perf_counter()
    training = Training.of(model, clients, schedule, terms)
    strategy.begin(training.weights)
    for number in range(len(rounds.history) + 1, schedule.rounds + 1):
        load(model, _round(training, strategy, parameters(model), number, seed, rounds))
        rounds.seconds = earlier + time.perf_counter() - started
        if kept and (private or number == schedule.rounds or kept.due()):
            _save(kept, model, strategy, rounds)
        if progress is not None:
            progress(number)
    return rounds


def _round(
    training: Training, strategy: Strategy, start: State, number: int, seed: int, rounds: Rounds
) -> State:
    """One exchange; returns what the model is after it, and adds to what is told of the rounds."""
    clients, terms, schedule = training.clients, training.terms, training.schedule
    private = isinstance(schedule, PrivacyPlan)
    missing = call(terms, clients, number, None if private else seed)
    draws = _draws(seed, number, clients)
    updates = train_clients(training, start, strategy, draws, _taking(missing, len(clients)))
    size = sum(each.numel() for each in start)
    noise = expected_noise(schedule, clients, strategy.learning_rate, size)
    found = screen(updates, missing, terms, noise)
    said = f"round {number}, {_named(strategy)}"
    weights = shares_of(training.weights, found, strategy.least, said)
    after = strategy.fold(start, updates, weights)
    note(rounds.conduct, clients, found)
    counted = float((weights > 0).sum())
    point = {"round": float(number), "step_length": _length(start, after), "clients": counted}
    rounds.history.append(point)
    return strategy.result(after, number, schedule.rounds)


def _taking(missing: Mapping[int, str], clients: int) -> np.ndarray | None:
    """Who was drawn and so trains, (clients,) bool; None: all."""
    away = [place for place, why in missing.items() if why == NOT_DRAWN]
    if not away:
        return None
    taking = np.ones(clients, dtype=bool)
    taking[away] = False
    return taking


def _named(strategy: Strategy) -> str:
    return type(strategy).__name__


@dataclass(frozen=True)
class Training:
    """What all rounds share.

    Attributes:
        clients: In their order.
        schedule: What each does in a round.
        engine: Computes their gradients.
        weights: Their shares of the average, (clients,).
        params, gradients: Room for them.
        terms: On which they take part.
    """

    clients: list[Client]
    schedule: Schedule
    engine: Engine
    weights: Tensor
    params: Stack
    gradients: Stack
    terms: Terms = EVERYONE

    @classmethod
    def of(
        cls, model: nn.Module, clients: list[Client], schedule: Schedule, terms: Terms
    ) -> Training:
        """Before the first round; reads the records' norms where there is privacy.

        Raises:
            InputError: An expected batch is not a positive number.
        """
        like, count = parameters(model), len(clients)
        sizes = [client.records if terms.weights == "size" else 1.0 for client in clients]
        records = torch.tensor(sizes, dtype=torch.float64)
        return cls(
            clients,
            schedule,
            _engine(model, clients, schedule),
            (records / records.sum()).float(),
            Stack.of(like, count),
            Stack.of(like, count),
            terms,
        )


def _engine(model: nn.Module, clients: Sequence[Client], schedule: Schedule) -> Engine:
    if layers_of(model) is not None:
        return Stacked(model, clients, schedule)
    from models.federated.one_by_one import OneByOne  # takes seconds: it imports Opacus

    return OneByOne(model, clients, schedule)


def train_clients(
    training: Training,
    start: State,
    strategy: Strategy,
    draws: Sequence[torch.Generator],
    taking: np.ndarray | None = None,
) -> State:
    """One round at every client, from the global parameters; returns how each has changed them.

    No record is touched of a client that is not `taking` part, (clients,) bool.
    """
    params, gradients = training.params, training.gradients
    params.fill(start)
    for step in range(training.schedule.local_steps):
        training.engine.gradients(params.parts, gradients, draws, step == 0, taking)
        along = strategy.correct(gradients.parts, params.parts, start)
        for part, each in zip(params.parts, along, strict=True):
            part.sub_(each, alpha=strategy.learning_rate)
    return [part.sub_(old) for part, old in zip(params.parts, start, strict=True)]


def _length(before: State, after: State) -> float:
    squares = (float(((a - b) ** 2).sum()) for a, b in zip(after, before, strict=True))
    return sum(squares) ** 0.5


def _resumed(kept: Checkpoint, model: nn.Module, strategy: Strategy) -> Rounds | None:
    found = kept.load()
    if found is None:
        return None
    tensors, facts = found
    carried = {name: tensor for name, tensor in tensors.items() if not name.startswith(_GLOBAL)}
    strategy.restore({name.removeprefix(_CARRIED): tensor for name, tensor in carried.items()})
    load(model, [tensors[f"{_GLOBAL}{i}"] for i in range(len(tensors) - len(carried))])
    return Rounds(**facts)


def _save(kept: Checkpoint, model: nn.Module, strategy: Strategy, rounds: Rounds) -> None:
    tensors = {f"{_GLOBAL}{i}": value for i, value in enumerate(parameters(model))}
    tensors |= {f"{_CARRIED}{name}": value for name, value in strategy.state().items()}
    kept.save(tensors, vars(rounds))


def _public(clients: Sequence[Client]) -> list[tuple[str, float]]:
    return [(client.name, client.records) for client in clients]


def _draws(seed: int, number: int, clients: Sequence[Client]) -> list[torch.Generator]:
    """A generator at a place of its own for each round of each client.

    Sampling without privacy draws from it; what a client draws depends on no other client, and a
    resumed run draws what it would have drawn. Private sampling and noise take no seed.
    """
    made = []
    for client in clients:
        said = hashlib.blake2b(f"{seed} {number} {client.name}".encode(), digest_size=8).digest()
        made.append(torch.Generator().manual_seed(int.from_bytes(said, "little")))
    return made
