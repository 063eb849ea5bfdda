"""Rounds of boosting: every client tells the noised leaf sums of a batch of trees, they are added.

Maddock, Cormode, Wang, Maple and Jha, "Federated Boosted Decision Trees with Differential Privacy"
(CCS 2022, arXiv:2210.02910): totally random splits, Newton's leaves, batches of trees a round, few
features a tree. What leaves a client is `leaves.released`; all else here is made of that, of splits
that no record had a say in, and of public numbers, and costs no further privacy. Unit, neighbours,
ε and δ are the plan's (`privacy.plan`); a tree is one of its steps, a round has `local_steps` of
them, and every record is in every tree (sampling rate 1).

On what `Terms` clients take part is as for nets: whoever is not drawn for a round tells nothing in
it; whoever is drawn has noised its sums before anyone looks whether they came in time, are finite
and not too long. How long they are is told of the sums over the client's public number of records,
in which no tree of exact sums is longer than 1 or so. All are charged for every round.

With a checkpoint, a round is done when its leaves are on disk. A private run that was killed reuses
every such round; the one it was in may have been noised without a trace, and is charged again
before it is taken again. Without privacy, the resumed run ends in the same leaves bit by bit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from domains.errors import InputError
from models.checkpoint import Checkpoint
from models.federated import Client, Rounds
from models.federated.clients import in_order
from models.federated.lost import settle
from models.federated.screening import expected_noise, note, screen, shares_of
from models.federated.terms import EVERYONE, NOT_DRAWN, Terms, call
from models.trees.leaves import Floats, leaf_sums, newton, pairs, released
from models.trees.model import Trees, as_bins
from privacy.plan import PrivacyPlan, Schedule


@dataclass(frozen=True)
class Boosting:
    """How leaves become a model; public numbers, and free.

    `v ← β·v + η·mean(trees of the round)`, `F ← F + v`: boosting with momentum (compare Lu et al.,
    "Accelerating gradient boosting machines", AISTATS 2020, arXiv:1903.08708); β = 0 is plain.

    Attributes:
        learning_rate: η.
        momentum: β.
        ridge: λ of `leaves.newton`.
    """

    learning_rate: float
    momentum: float = 0.0
    ridge: float = 1.0

    def weight(self, rounds: int) -> float:
        """What a round's trees count for when so many rounds, itself among them, have passed."""
        carried = sum(self.momentum**each for each in range(rounds))
        return self.learning_rate * carried

    def values(self, told: Floats, schedule: Schedule) -> Floats:
        """What a round's leaves become, (trees, leaves), of all that its clients released.

        Args:
            told: Noised sums of the clients that count, (clients, trees, leaves, 2).
            schedule: Whose noise it is.
        """
        return newton(told.sum(axis=0), len(told), self.ridge, schedule)


class _Records:
    """All clients' records side by side, and what the trees so far say of them.

    A client moves its own records on by what all were sent, in rounds that it sits out too.
    """

    def __init__(self, clients: Sequence[Client], model: Trees) -> None:
        self.bins = np.concatenate([as_bins(client.features) for client in clients], axis=1)
        self.y = np.concatenate([client.target.double().numpy() for client in clients])
        self.client = np.repeat(np.arange(len(clients)), [len(c.target) for c in clients])
        self.log_odds, self._velocity = np.zeros(len(self.y)), np.zeros(len(self.y))
        self._splits, self._found = model.splits, dict[int, np.ndarray]()

    def leaf(self, tree: int) -> np.ndarray:
        """Of one tree; kept until its round is taken."""
        if tree not in self._found:
            self._found[tree] = self._splits.leaf(tree, self.bins).astype(np.int32)
        return self._found[tree]

    def take(self, trees: range, values: np.ndarray, how: Boosting) -> None:
        """Move on by a round's trees, whose values are (trees, leaves)."""
        step = np.zeros(len(self.y))
        for tree, value in zip(trees, values, strict=True):
            step += value[self.leaf(tree)]
            del self._found[tree]
        self._velocity *= how.momentum
        self._velocity += how.learning_rate / len(trees) * step
        self.log_odds += self._velocity


def run(
    model: Trees,
    clients: Sequence[Client],
    schedule: Schedule,
    how: Boosting,
    progress: Callable[[int], None] | None = None,
    *,
    seed: int = 0,
    terms: Terms = EVERYONE,
    checkpoint: Checkpoint | None = None,
    before_training: Callable[[int], None] | None = None,
) -> Rounds:
    """Fill the leaves of `model` in `schedule.rounds` rounds of `schedule.local_steps` trees.

    The order of `clients` changes nothing.

    Args:
        model: With as many trees as the schedule has steps.
        clients: Who takes part, with bins for features; one client is central training.
        schedule: Rounds and trees of each; a `PrivacyPlan` trains with its noise.
        how: What becomes of the leaves.
        progress: Told the number of each round that is done.
        seed: Of who is drawn and who is late without privacy, together with round and client.
        terms: How often clients take part, and how long their sums may be; a tree counts records,
            so that weights by size are the only ones.
        checkpoint: Saved after every round of a private run, and when it is due without privacy.
        before_training: Told, before a private run goes on, how many rounds an earlier attempt
            may have noised whose result is lost. It charges them, or raises.

    Raises:
        InputError: The schedule samples records, has another number of trees than the model, or
            clips to more than a record can add; or clients are to count the same.
        Interrupted: In one round nobody's sums count; earlier rounds are kept.
    """
    _check(model, schedule, terms)
    clients, started = in_order(clients), time.perf_counter()
    described = _described(model, clients, schedule, how)
    kept = checkpoint.of(*described, seed, terms) if checkpoint else None
    rounds, leaves = _resumed(kept, model)
    if kept and isinstance(schedule, PrivacyPlan):
        save = partial(_save, kept, rounds, leaves)
        settle(kept, len(rounds.history), schedule.rounds, before_training, save)
    records, earlier = _Records(clients, model), rounds.seconds
    drawn_by = None if isinstance(schedule, PrivacyPlan) else seed
    for number in range(1, schedule.rounds + 1):
        trees = range((number - 1) * schedule.local_steps, number * schedule.local_steps)
        known = number <= len(rounds.history)
        if not known:
            missing = call(terms, clients, number, drawn_by)
            told = _released(records, trees, schedule, (len(clients), leaves.shape[1]), missing)
            found = _screened(told, clients, schedule, missing, terms)
            counted = _counted(clients, found, f"round {number}, trees")
            leaves[trees] = how.values(told[counted], schedule)
            note(rounds.conduct, clients, found)
            rounds.history.append(_point(number, leaves[trees], counted))
            rounds.seconds = earlier + time.perf_counter() - started
        records.take(trees, leaves[trees], how)
        if not known:
            _keep(kept, rounds, leaves, schedule)
            if progress is not None:
                progress(number)
    model.value.copy_(torch.from_numpy(_weighed(leaves, schedule, how)))
    return rounds


def _released(
    records: _Records,
    trees: range,
    schedule: Schedule,
    shape: tuple[int, int],
    missing: Mapping[int, str],
) -> Floats:
    """What every client tells of a round's trees, noised, (clients, trees, leaves, 2).

    Nothing is told by who is `missing` for not being drawn: zeros stand there, without noise.
    """
    told = np.zeros((shape[0], len(trees), shape[1], 2))
    away = [place for place, why in missing.items() if why == NOT_DRAWN]
    taking = np.setdiff1d(np.arange(shape[0]), away)
    rows = np.flatnonzero(np.isin(records.client, taking)) if away else slice(None)
    client = np.searchsorted(taking, records.client[rows])
    added = pairs(records.log_odds[rows], records.y[rows], schedule)
    mine = (len(taking), shape[1])
    exact = [leaf_sums(records.leaf(tree)[rows], client, added, mine) for tree in trees]
    told[taking] = released(np.stack(exact, axis=1), schedule)
    return told


def _screened(
    told: Floats,
    clients: Sequence[Client],
    schedule: Schedule,
    missing: Mapping[int, str],
    terms: Terms,
) -> dict[int, str]:
    """Whose sums do not count as sent: place of the client → why; too long ones are shortened in
    place where the terms say so."""
    numbers = told[0, 0].size
    size = np.array([client.records for client in clients])[:, None, None, None]
    told /= size  # of a client's sums, so that lengths can be compared
    found = screen(
        [torch.from_numpy(told)], missing, terms, expected_noise(schedule, clients, 1.0, numbers)
    )
    told *= size
    return found


def _counted(clients: Sequence[Client], found: Mapping[int, str], round_: str) -> np.ndarray:
    """Places of the clients whose sums count.

    Raises:
        Interrupted: There are none.
    """
    return np.flatnonzero(shares_of(torch.ones(len(clients)), found, 1, round_).numpy())


def _point(number: int, leaves: Floats, counted: np.ndarray) -> dict[str, float]:
    """What is told of a round."""
    length, clients = float(np.linalg.norm(leaves)), float(len(counted))
    return {"round": float(number), "step_length": length, "clients": clients}


def _weighed(leaves: np.ndarray, schedule: Schedule, how: Boosting) -> np.ndarray:
    """Leaves as the sum of all rounds takes them, (trees, leaves)."""
    batch = schedule.local_steps
    after = schedule.rounds - np.arange(len(leaves)) // batch
    weights = np.array([how.weight(int(rounds)) for rounds in after]) / batch
    return np.asarray(leaves * weights[:, None])


def _check(model: Trees, schedule: Schedule, terms: Terms) -> None:
    if terms.weights != "size":
        raise InputError(f"weights: found {terms.weights}, expected size: a tree counts records")
    if schedule.sampling_rate != 1.0:
        found = schedule.sampling_rate
        raise InputError(f"sampling_rate: found {found}, expected 1: a tree takes every record")
    if model.splits.trees != schedule.steps:
        raise InputError(
            f"trees: the model has {model.splits.trees}, the schedule {schedule.steps} steps"
        )
    if isinstance(schedule, PrivacyPlan) and not 0.0 < schedule.clip_norm <= 1.0:
        raise InputError(
            f"clip_norm: found {schedule.clip_norm:g}, expected above 0 and at most 1: no record's "
            "pair of sums is longer than 1, and more noise would hide no more"
        )


def _described(
    model: Trees, clients: Sequence[Client], schedule: Schedule, how: Boosting
) -> tuple[object, ...]:
    drawn = hashlib.blake2b(model.feature.numpy().tobytes(), digest_size=16)
    drawn.update(model.right.numpy().tobytes())
    public = [(client.name, client.records) for client in clients]
    return "trees", schedule, how, public, tuple(model.value.shape), drawn.hexdigest()


def _resumed(kept: Checkpoint | None, model: Trees) -> tuple[Rounds, np.ndarray]:
    """How far an earlier attempt came, and its leaves before they are weighed."""
    found = kept.load() if kept else None
    if found is None:
        return Rounds(), np.zeros(model.value.shape)
    return Rounds(**found[1]), found[0]["leaves"].numpy().copy()


def _keep(kept: Checkpoint | None, rounds: Rounds, leaves: np.ndarray, schedule: Schedule) -> None:
    done = len(rounds.history) == schedule.rounds
    if kept and (isinstance(schedule, PrivacyPlan) or done or kept.due()):
        _save(kept, rounds, leaves)


def _save(kept: Checkpoint, rounds: Rounds, leaves: np.ndarray) -> None:
    kept.save({"leaves": torch.from_numpy(leaves)}, vars(rounds))
