"""The table of joining on `sba`: is each lender better off than alone, and by how much?

The pipeline's default job (a scorecard, ε = 3, δ = 1e-5 at every lender) beside each lender's own
scorecard; then every lender goes on at home. Intervals are over resamples of borrowers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks._credit_arms import answers, tested_of, under
from benchmarks._credit_data import LENDERS, SBA, config_of, loans
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
            found = joined(prepared, under(config, EPSILON))
        print(f"{who}:", *sentences(found.members, found.groups), sep="\n  ")
        made += [*_counts(who, found.members), *_gains(who, found.groups)]
    return made


def joined(prepared: Prepared, config: CreditConfig) -> Joined:
    """Alone, federated, and federated and personalised, compared on test records."""
    clients = prepared.clients(training_rows(prepared))
    every = np.ones(len(prepared.codes), dtype=bool)
    shared = calibrated(prepared, answers(prepared, config, clients, every))
    _, personal = own_models(prepared, shared, "proximal", config.bins)
    alone = own_scorecards(prepared, config.bins)
    tested = tested_of(
        prepared,
        {
            FEDERATED: shared,
            PERSONAL: each_calibrated(prepared.facts, personal),
            ALONE: each_calibrated(prepared.facts, alone),
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
