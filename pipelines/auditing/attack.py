"""The attack: canaries among the records, scored from what left their clients; and the noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import stats
from scipy.special import logsumexp

from pipelines.auditing.claim import Claim
from pipelines.auditing.synthetic import (
    STILL,
    Layout,
    canary_of,
    empty_clients,
    layout_of,
    make_clients,
    start_of,
    toss,
)
from pipelines.auditing.watched import State, rate_for, watch
from privacy.audit import Guesses
from privacy.noise_found import FALSE_ALARM, NoiseFound, NoiseTally
from privacy.plan import PrivacyPlan

_GUESSED = 1 / 3  # share of canaries on which a guess is made, the most extreme ones
_VISIBLE = 0.1  # noise of a round, where nothing but noise is looked at
_VALUES = 1 << 18  # draws at clients without records
_SHARE = FALSE_ALARM / 4  # of each of the two tests of noise here


@dataclass(frozen=True)
class Attacked:
    """What was seen.

    Attributes:
        guesses: How the guesses on canaries went.
        strength: Share of the clip norm that lies in a canary's own column.
        noise: Of the columns or leaves no record used, while others trained.
        rounds: How often updates left the clients.
        records: Made-up records in all.
    """

    guesses: Guesses
    strength: float
    noise: NoiseFound
    rounds: int
    records: int


def attack(claim: Claim) -> Attacked:
    """Train on made-up records with canaries, and guess which of these were there."""
    plan, layout = claim.plan, layout_of(claim)
    canary, coins = canary_of(claim, layout), toss(len(claim.records), layout.canaries)
    clients, records = make_clients(claim, layout, coins, canary.size)
    rate = rate_for(plan, min(claim.records), STILL / canary.size)
    scale = _noise_of_a_round(claim, rate)
    scores, tally = np.zeros(coins.shape), NoiseTally()

    def see(updates: State) -> None:
        first = updates[0].numpy() / scale[:, None, None]
        moved = -np.einsum("kow,o->kw", first[:, :, layout.own], canary.direction)
        scores[:] += evidence(moved, plan, canary.strength)
        tally.add(first[:, :, layout.empty].reshape(len(first), -1))

    watch(start_of(claim, layout), clients, plan, rate, see)
    rounds, guesses = len(tally.steps), guess(scores, coins)
    return Attacked(guesses, canary.strength, tally.found(_SHARE), rounds, records)


def noise_everywhere(claim: Claim) -> NoiseFound:
    """The noise in every coordinate of every layer, at clients that have no record at all: each of
    the run's as often as it takes to see a small lack."""
    model = start_of(claim, Layout(claim.codes, 0, 0))
    once = sum(each.numel() for each in model.parameters()) * claim.plan.rounds
    times = -(-_VALUES // (once * len(claim.records)))
    claim = replace(claim, records=tuple(np.repeat(claim.records, times).tolist()))
    rate, tally = rate_for(claim.plan, min(claim.records), _VISIBLE), NoiseTally()
    scale = _noise_of_a_round(claim, rate)

    def see(updates: State) -> None:
        flat = torch.cat([each.flatten(1) for each in updates], dim=1)
        tally.add(flat.numpy() / scale[:, None])

    watch(model, empty_clients(claim, claim.codes), claim.plan, rate, see)
    return tally.found(_SHARE)


def evidence(moved: np.ndarray, plan: PrivacyPlan, strength: float) -> np.ndarray:
    """Log-likelihood ratio of a canary that was there to one that was not, by what one round says.

    Args:
        moved: Along the canary's gradient, in standard deviations of the round's noise.
        plan: In a round, a canary is in a binomial number of steps.
        strength: Share of the clip norm that shows in each.
    """
    steps = np.arange(plan.local_steps + 1)
    shift = strength * steps / (plan.noise_multiplier * plan.local_steps**0.5)
    weight = stats.binom.logpmf(steps, plan.local_steps, plan.sampling_rate)
    ratio: np.ndarray = logsumexp(moved[..., None] * shift - shift**2 / 2 + weight, axis=-1)
    return ratio


def _noise_of_a_round(claim: Claim, rate: float) -> np.ndarray:
    """Standard deviation that the plan promises of one weight's change in a round, by client."""
    plan = claim.plan
    sigma = plan.noise_multiplier * plan.clip_norm * plan.local_steps**0.5
    scale: np.ndarray = rate * sigma / (plan.sampling_rate * np.array(claim.records))
    return scale


def guess(scores: np.ndarray, coins: np.ndarray) -> Guesses:
    """The highest scores are said to be there, as many of the lowest not; the rest is silence."""
    half = int(scores.size * _GUESSED / 2)
    order, there = np.argsort(scores, axis=None), coins.ravel()
    right = int(there[order[scores.size - half :]].sum() + (~there[order[:half]]).sum())
    return Guesses(scores.size, 2 * half, right)
