"""What was seen against what was promised: checks, each with its numbers and one plain line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipelines.auditing.attack import Attacked
from pipelines.auditing.claim import Claim, apart_from, is_step
from pipelines.auditing.probe import Probed
from pipelines.auditing.setup import Counts
from privacy.accounting import epsilon_of
from privacy.audit import chance, epsilon_at_least, epsilon_by_counting
from privacy.noise_found import FALSE_ALARM, NoiseFound
from privacy.tradeoff import least_wrong

_SIGNIFICANCE = 0.05  # of the lower bounds on ε
_REFUTED = 1e-3
"""Chance of so many right guesses at which the claim is given up. Theory allows a good run to fail
with that chance; what the attack gets from a good run lies many standard deviations below."""
_ROUNDING = 1e-3  # by which float32 may miss a clip norm or a number of steps
_STEPS = 0.02
_CLOSE = 1e-6  # relative, of ε computed twice


@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        name: `setup`, `canaries`, `noise`, `count` or `clip`.
        passed: Whether what was promised was found.
        said: A sentence for a person.
        numbers: JSON values behind it.
    """

    name: str
    passed: bool
    said: str
    numbers: dict[str, Any]


def canaries(claim: Claim, attacked: Attacked) -> Check:
    """Could so many canaries be told if the training cost no more than was charged for it?"""
    plan, guesses = claim.plan, attacked.guesses
    charged = _charged(claim) or plan.round_events(plan.rounds)
    claimed = epsilon_of(charged, plan.delta)
    rarity = chance(guesses, least_wrong(charged))

    def louder(scale: float) -> list[dict[str, Any]]:
        noisier = replace(plan, noise_multiplier=plan.noise_multiplier * scale)
        return noisier.round_events(plan.rounds)

    bound = epsilon_at_least(guesses, louder, plan.delta, _SIGNIFICANCE)
    counted = epsilon_by_counting(guesses, plan.delta, _SIGNIFICANCE)
    passed = rarity > _REFUTED
    said = (
        f"{guesses.right} of {guesses.made} guesses on {guesses.canaries} canaries were right: "
        f"training costs ε {bound:.2f} at least (at 95 %; {claimed:.2f} claimed at δ "
        f"{plan.delta:g}), and under the claim so many are right with a chance of {rarity:.2g} "
        f"at most"
    )
    numbers = {
        "canaries": guesses.canaries,
        "guesses": guesses.made,
        "right": guesses.right,
        "strength": attacked.strength,
        "epsilon_at_least": bound,
        "epsilon_at_least_by_counting": counted,
        "confidence": 1 - _SIGNIFICANCE,
        "epsilon_claimed_for_training": claimed,
        "epsilon_told_for_all": claim.epsilon,
        "tightness": bound / claimed,
        "chance_under_the_claim": rarity,
        "false_alarm": _REFUTED,
    }
    return Check("canaries", passed, said, numbers)


def noise(claim: Claim, unused: NoiseFound, everywhere: NoiseFound) -> Check:
    """Is the noise in every value as large as planned, and drawn afresh each time?"""
    passed = unused.passed and everywhere.passed
    said = (
        f"σ is {unused.ratio:.4f} of the planned {claim.plan.noise_multiplier:.4g} where no "
        f"record adds ({unused.low:.4f} to {unused.high:.4f}, {unused.values} values), "
        f"{everywhere.ratio:.4f} over all that clients without records send "
        f"({everywhere.low:.4f} to {everywhere.high:.4f}, {everywhere.values} values); a shortfall "
        f"of {unused.detectable:.1%} there, of {everywhere.detectable:.1%} here would show"
    )
    numbers = {
        "noise_multiplier": claim.plan.noise_multiplier,
        "unused_columns": vars(unused),
        "every_weight": vars(everywhere),
        "false_alarm": FALSE_ALARM,
    }
    return Check("noise", passed, said, numbers)


def count(claim: Claim, attacked: Attacked, probed: Probed) -> Check:
    """Was every noised sum that leaves a client charged to its owner?"""
    steps = round(probed.steps) if math.isfinite(probed.steps) else 0
    noised = attacked.rounds * steps
    charged = {owner: _steps(claim, events) for owner, events in claim.charged.items()}
    least = min(charged.values(), default=0)
    plan, paid = claim.plan, all(_setup_charged(claim, e) for e in claim.charged.values())
    taken = replace(plan, rounds=max(noised, 1), local_steps=1)
    epsilon = epsilon_of([*taken.round_events(taken.rounds), *plan.setup_events()], plan.delta)
    whole = abs(probed.steps - steps) <= _STEPS
    passed = whole and paid and 0 < noised <= least and epsilon <= claim.epsilon * (1 + _CLOSE)
    setup = ""
    if plan.setup_columns:
        setup = f"bins and value lists {'too' if paid else 'NOT charged'}; "
    said = (
        f"{noised} noised steps ({attacked.rounds} rounds of {steps}) and {least} charged to "
        f"each of {len(charged)} owner(s); {setup}together they cost ε {epsilon:.3g}, and the run "
        f"tells {claim.epsilon:.3g}"
    )
    numbers = {
        "rounds": attacked.rounds,
        "steps_a_round": probed.steps,
        "noised": noised,
        "charged": charged,
        "setup_charged": paid,
        "epsilon_of_noised": epsilon,
        "epsilon_told": claim.epsilon,
    }
    return Check("count", passed, said, numbers)


def clip(claim: Claim, probed: Probed) -> Check:
    """Can one record move a sum by more than the clip norm?"""
    worst = max(probed.moves, key=lambda name: probed.moves[name])
    passed = probed.moves[worst] <= 1.0 + _ROUNDING
    said = (
        f"of {len(probed.moves)} kinds of record, the one that moves a sum most ({worst}) moves "
        f"it by {probed.moves[worst]:.4g} of the clip norm {claim.plan.clip_norm:g}"
    )
    return Check("clip", passed, said, {"clip_norm": claim.plan.clip_norm, "moves": probed.moves})


def setup(claim: Claim, counted: Sequence[Counts]) -> Check:
    """Is the noise on the counts behind bins and lists as planned, and is nobody's value listed?

    Args:
        claim: The claim.
        counted: What the run's setup code released of made-up records; empty if it counted nothing.
    """
    if not claim.plan.setup_columns:
        said = (
            "nothing to test: all bounds and categories were public, and no bins or value lists "
            "were read from the records"
        )
        return Check("setup", True, said, {"tested": False, "columns": 0})
    passed = bool(counted) and all(each.passed for each in counted)
    numbers = {
        "tested": bool(counted),
        "columns": claim.plan.setup_columns,
        "noise_multiplier": claim.plan.setup_noise_multiplier,
        "delta": claim.plan.setup_delta,
        "mixes": [_json(asdict(each)) for each in counted],
        "false_alarm": FALSE_ALARM / 2,
    }
    told = "; ".join(_counted(claim, each) for each in counted)
    return Check("setup", passed, told or "columns were read, and no noise is told for it", numbers)


def _counted(claim: Claim, found: Counts) -> str:
    """One mix of columns in words."""
    kinds = "; ".join(
        f"{name} {kind.sigma:.4g}{'' if kind.noise.passed else ' (NOT alike in all)'}, "
        f"{kind.noise.values} values"
        for name, kind in found.kinds.items()
    )
    said = (
        f"noise on counts of {found.numbers} number(s) and {found.lists} value list(s)"
        f"{', after a vote on their types,' if found.voted else ''} is "
        f"{found.ratio:.4f} of the planned {claim.plan.setup_noise_multiplier:.4g} for one record "
        f"({found.low:.4f} to {found.high:.4f}; a shortfall of {found.detectable:.1%} would show; "
        f"σ of each count, empty ones too: {kinds})"
    )
    if found.threshold is None:
        return said
    limit = found.threshold
    return (
        f"{said}; of {limit.tried} values that one record holds {limit.named} were listed (at "
        f"most {limit.allowed} by δ), and no count below {limit.floor:.1f} may be: the least was "
        f"{limit.least:.1f}"
    )


def _json(value: Any) -> Any:
    """JSON values: what is no finite number is null."""
    if isinstance(value, dict):
        return {name: _json(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _setup_charged(claim: Claim, events: Sequence[dict[str, Any]]) -> bool:
    """Whether an owner was charged for counts with no more noise than told, and for their δ."""
    (step,) = claim.plan.round_events()
    rest = [*apart_from(step, events)]
    for wanted in claim.plan.setup_events():
        if not any(_covers(event, wanted) for event in rest):
            return False
    return True


def _covers(event: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an event costs what another of the same kind does, or more."""
    if event.get("kind") != wanted["kind"]:
        return False
    if "sigma" in wanted:
        return bool(event["sigma"] <= wanted["sigma"] * (1 + _CLOSE))
    return bool(event["delta"] >= wanted["delta"] * (1 - _CLOSE))


def _charged(claim: Claim) -> list[dict[str, Any]]:
    """What the owner charged least for training was charged for it."""
    each = [_training(claim, events) for events in claim.charged.values()]
    return min(each, key=lambda events: sum(e["count"] for e in events), default=[])


def _steps(claim: Claim, events: Sequence[dict[str, Any]]) -> int:
    return sum(int(event["count"]) for event in _training(claim, events))


def _training(claim: Claim, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those events that are steps of this plan: its kind, its sampling and its noise."""
    (step,) = claim.plan.round_events()
    return [event for event in events if is_step(step, event)]
