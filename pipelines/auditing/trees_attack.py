"""The audit of boosted trees: canaries each alone in a leaf, and what is seen of them there.

Training is `models.trees.run` itself, with clients of made-up records and splits that are drawn for
the audit: which splits there are is public and changes no noise, and so is how many leaves a tree
has. Every record belongs to a place, every tree takes the places to its leaves in an order of its
own, and a canary's place is its own: nothing is added to its leaf but the canary's pair and noise.
Other records share one leaf, and some leaves stay empty. The model that clients are sent never
moves, so that every pair is the one of log-odds 0; `trees_probe` tries others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from models.federated import Client
from models.trees import Boosting, Trees, run
from models.trees.leaves import Floats, pairs
from models.trees.structure import Splits
from pipelines.auditing.attack import Attacked, evidence, guess
from pipelines.auditing.claim import Claim
from pipelines.auditing.synthetic import Layout, layout_of, name_of, toss
from privacy.noise_found import FALSE_ALARM, NoiseFound, NoiseTally
from privacy.plan import PrivacyPlan, Schedule

_VALUES = 1 << 18  # draws at clients without records
_SHARE = FALSE_ALARM / 4  # of each of the two tests of noise here
_ORDINARY = 200  # records of a client that are no canaries; they share a leaf

See = Callable[[Floats], Floats]
"""Takes what every client has released, (clients, trees, leaves, 2); gives values, (trees, leaves),
or one value for all of them."""


@dataclass(frozen=True)
class Watched(Boosting):
    """Boosting whose coordinator looks at what it is told, and answers as it likes.

    Attributes:
        see: Takes what was told and gives the values of the round's leaves.
    """

    see: See = field(kw_only=True)

    def values(self, told: Floats, schedule: Schedule) -> Floats:
        """Show a round's sums."""
        del schedule
        return self.see(told)


def watch(clients: Sequence[Client], plan: PrivacyPlan, places: int, see: See) -> None:
    """The run's own training under its own plan, showing every round."""
    run(Trees(shuffled(places, plan.steps)), clients, plan, Watched(1.0, see=see))


def shuffled(places: int, trees: int) -> Splits:
    """Trees over one feature of so many bins, a power of two: each takes them to its leaves in an
    order of its own."""
    depth, draws = places.bit_length() - 1, np.random.default_rng(0)
    leaf = np.stack([draws.permutation(places) for _ in range(trees)])
    digits = np.arange(depth - 1, -1, -1)[:, None]
    right = (leaf[:, None, :] >> digits & 1).astype(bool)
    return Splits(np.zeros((trees, depth), dtype=np.int64), right)


def attack(claim: Claim) -> Attacked:
    """Train on made-up records with canaries, and guess which of these were there."""
    plan, layout = claim.plan, _layout(claim)
    coins = toss(len(claim.records), layout.canaries)
    clients = _clients(claim, layout, coins)
    pair, strength = canary_of(plan)
    scores, tally, moved = np.zeros(coins.shape), NoiseTally(), list[Floats]()
    order = iter(_order(plan, layout.width))

    def see(told: Floats) -> Floats:
        own = np.zeros(coins.shape)
        for each in told.swapaxes(0, 1) / (plan.noise_multiplier * plan.clip_norm):
            placed = each[:, next(order)]
            tally.add(placed[:, layout.empty].reshape(len(placed), -1))
            own += placed[:, layout.own] @ pair
        moved.append(own / told.shape[1] ** 0.5)
        return np.zeros(told.shape[1:3])

    watch(clients, plan, layout.width, see)
    for own in moved:
        scores += evidence(own, plan, strength)
    records, found = sum(len(c.target) for c in clients), tally.found(_SHARE)
    return Attacked(guess(scores, coins), strength, found, len(moved), records)


def noise_everywhere(claim: Claim) -> NoiseFound:
    """The noise in every leaf of the run's own trees, at clients that have no record at all: each
    of the run's as often as it takes to see a small lack."""
    tally, scale = NoiseTally(), claim.plan.noise_multiplier * claim.plan.clip_norm

    def see(told: Floats) -> Floats:
        for each in told.swapaxes(0, 1):
            tally.add(each.reshape(len(each), -1) / scale)
        return np.zeros(told.shape[1:3])

    once = claim.plan.steps * (2 << claim.depth) * len(claim.records)
    every = np.repeat(claim.records, -(-_VALUES // once)).tolist()
    nobody = [records_at(name_of(n), [], 0.0, each) for n, each in enumerate(every)]
    watch(nobody, claim.plan, 1 << claim.depth, see)
    return tally.found(_SHARE)


def canary_of(plan: PrivacyPlan) -> tuple[Floats, float]:
    """Where a canary's pair points, (2,) of length 1, and its length as a share of the clip norm.

    Asked of the code itself: what it adds of a record that pays, where all log-odds are 0.
    """
    pair = pairs(np.zeros(1), np.zeros(1), plan)[:, 0]
    length = float(np.linalg.norm(pair))
    return pair / length, min(length / plan.clip_norm, 1.0)


def _layout(claim: Claim) -> Layout:
    """Places of canaries, of nobody, and one that all others share; their number a power of two."""
    made = layout_of(claim)
    places = 1 << (made.canaries + made.unused).bit_length()
    return replace(made, codes=1, unused=places - 1 - made.canaries)


def _order(plan: PrivacyPlan, places: int) -> np.ndarray:
    """The leaf that each tree has for each place, (trees, places)."""
    splits, every = shuffled(places, plan.steps), np.arange(places)[None]
    return np.stack([splits.leaf(tree, every) for tree in range(plan.steps)])


def _clients(claim: Claim, layout: Layout, coins: np.ndarray) -> list[Client]:
    made = []
    for number, (records, there) in enumerate(zip(claim.records, coins, strict=True)):
        own = (layout.own.start + np.flatnonzero(there)).tolist()
        others = [0] * min(_ORDINARY, max(round(records) - len(own), 0))
        made.append(records_at(name_of(number), [*own, *others], 0.0, records))
    return made


def records_at(name: str, places: Sequence[int], outcome: float, records: float) -> Client:
    """Records at these places, all of one outcome."""
    bins = torch.tensor(places, dtype=torch.float32).reshape(-1, 1)
    return Client(name, bins, torch.full((len(places),), outcome), records)
