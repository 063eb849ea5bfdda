"""The table of joining on `sba`: is each lender better off than alone, and by how much?

The pipeline's default job (a scorecard, ε = 3, δ = 1e-5 at every lender) beside each lender's own
scorecard; then every lender goes on at home. Intervals are over resamples of borrowers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks._credit_arms import EPSILONS, answers, how, spread, tested_of, under
from benchmarks._credit_data import LENDERS, SBA, SMALL, config_of, loans
from benchmarks._rows import Row
from pipelines.settings import CreditConfig
from pipelines.steps.credit.controls import ALONE
from pipelines.steps.credit.joined import sentences
from pipelines.steps.credit.joining import JOINED, Group, Member, groups, members, tally
from pipelines.steps.credit.own_records import each_calibrated
from pipelines.steps.credit.personal import PERSONAL, own_models, own_scorecards
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.training import FEDERATED, calibrated, one_thread, training_rows

EPSILON = 3.0
GOALS = {FEDERATED: 0.0, PERSONAL: 1.0}
"""With its own part no lender is to be worse off than alone; the shared model's rows just tell."""
_MILLI = 1000.0


@dataclass(frozen=True)
class Joined:
    """Every lender's answer, and of thirds of them by size."""

    members: list[Member]
    groups: list[Group]


def rows(scale: str) -> list[Row]:
    """Lenders no worse off and better off than alone, and gains by size; sentences are printed."""
    made: list[Row] = []
    for who, clients in LENDERS.items():
        print(f"joining: {who}", file=sys.stderr)
        config = config_of(SBA, scale, clients=clients)
        with loans(config) as (_, prepared), one_thread():
            found = joined(prepared, under(config, EPSILON), _alone(prepared, config))
        print(f"{who}:", *sentences(found.members, found.groups), sep="\n  ")
        made += [*_counts(who, found.members), *_gains(who, found.groups)]
    return [*made, *pays(scale, 2 if scale == "small" else 5)]


def pays(scale: str, seeds: int) -> list[Row]:
    """From which ε on joining pays small lenders: gains by size over splits, with an interval.

    A row's spread is Student's 95 % interval of the mean over seeds, each a split of its own. Seeds
    share their lenders, so that it tells of these lenders on other records.
    """
    found: dict[tuple[float | None, str], list[float]] = {}
    for seed in range(seeds):
        config = config_of(SBA, scale, seed, clients=LENDERS[SMALL])
        with loans(config) as (_, prepared), one_thread():
            alone = _alone(prepared, config)
            for epsilon in reversed(EPSILONS):
                print(f"joining: {SMALL}, {how(epsilon)}, seed {seed}", file=sys.stderr)
                for group in joined(prepared, under(config, epsilon), alone).groups:
                    gain = group.gains[PERSONAL].value
                    found.setdefault((epsilon, group.name), []).append(gain)
    made = [_of_gain(f"{SMALL}, {PERSONAL}, {how(e)}: gain, {name}", gains)
            for (e, name), gains in found.items()]  # fmt: skip
    print(*(_told(row) for row in made), sep="\n")
    return made


def _of_gain(what: str, gains: Sequence[float]) -> Row:
    mean, low, high = spread(gains)
    ratio, goal = 1 + mean, GOALS[PERSONAL]
    return Row(what, _MILLI * mean, 0.0, "‰ AUROC", ratio, goal, ratio >= goal, 1 + low, 1 + high)


def _told(row: Row) -> str:
    """Whether joining pays there."""
    low, high = _MILLI * (row.low - 1), _MILLI * (row.high - 1)
    verdict = "pays" if low > 0 else "costs" if high < 0 else "cannot be told from being alone"
    return f"{row.what}: {row.ours:+.1f} ‰ AUROC ({low:+.1f} to {high:+.1f}), {verdict}"


def _alone(prepared: Prepared, config: CreditConfig) -> np.ndarray:
    return each_calibrated(prepared.facts, own_scorecards(prepared, config.bins))


def joined(prepared: Prepared, config: CreditConfig, alone: np.ndarray) -> Joined:
    """Alone, federated, and federated and personalised, compared on test records.

    Args:
        prepared: The loans.
        config: What is trained together.
        alone: Log-odds of every record by its own lender's model, (n,).
    """
    clients = prepared.clients(training_rows(prepared))
    every = np.ones(len(prepared.codes), dtype=bool)
    shared = calibrated(prepared, answers(prepared, config, clients, every))
    _, personal = own_models(prepared, shared, "proximal", config.bins)
    tested = tested_of(
        prepared,
        {
            FEDERATED: shared,
            PERSONAL: each_calibrated(prepared.facts, personal),
            ALONE: alone,
        },
    )
    return Joined(members(tested, prepared.sizes), groups(tested, prepared.sizes))


def _counts(who: str, found: Sequence[Member]) -> Iterator[Row]:
    """Of the lenders with enough test records to tell: peer less ours are worse off than alone."""
    told = [member for member in found if member.told]
    for arm in JOINED:
        better, alike, _ = tally(told, arm)
        name = f"{who}, {arm}"
        yield _of_count(f"{name}: no worse than alone", better + alike, len(told), GOALS[arm])
        yield _of_count(f"{name}: better than alone", better, len(told), 0.0)


def _of_count(what: str, count: int, told: int, goal: float) -> Row:
    share = count / told if told else 0.0
    return Row(what, count, told, "lenders", share, goal, share >= goal, share, share)


def _gains(who: str, found: Sequence[Group]) -> Iterator[Row]:
    """AUROC gained inside a third's lenders, in thousandths; the ratio is 1 and the gain."""
    for group in found:
        for arm, gain in group.gains.items():
            what, ratio = f"{who}, {arm}: gain, {group.name}", 1 + gain.value
            spread, goal = (1 + gain.low, 1 + gain.high), GOALS[arm]
            yield Row(
                what, _MILLI * gain.value, 0.0, "‰ AUROC", ratio, goal, ratio >= goal, *spread
            )
