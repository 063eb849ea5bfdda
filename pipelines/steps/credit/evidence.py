"""The last work of the credit flow: model and controls on the test records, as evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from domains.banking.census import LoanTable
from domains.banking.credit import PARTS
from domains.metrics import Interval, named
from models.scorecard_points import CARD, TABLE, load_card
from pipelines.evidence import Arm, Evidence, Table
from pipelines.governance.held_out import HeldOut, HeldOutcome
from pipelines.progress import say
from pipelines.stages import stage
from pipelines.steps.credit import words
from pipelines.steps.credit.charge import is_public, may_release
from pipelines.steps.credit.controls import (
    ALONE,
    BOOSTING,
    LATER,
    LATER_BOOSTING,
    PLAIN,
    POOLED,
    QUIET,
)
from pipelines.steps.credit.decisions import fitted
from pipelines.steps.credit.held_records import PREFIX, Later, tested_later, tested_on
from pipelines.steps.credit.joined import with_lenders
from pipelines.steps.credit.judged import judged
from pipelines.steps.credit.monitoring import plan_of
from pipelines.steps.credit.pictures import draw, points_table
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.price import Priced
from pipelines.steps.credit.priced import with_price
from pipelines.steps.credit.public_facts import faint
from pipelines.steps.credit.scores import (
    Tested,
    difference,
    difference_inside,
    metrics_of,
    repeats_of,
)
from pipelines.steps.credit.statement import statement
from pipelines.steps.credit.taking_part import with_conduct
from pipelines.steps.credit.told import in_order
from pipelines.steps.credit.training import FEDERATED, Trained, package_of
from pipelines.tracking import Job, client, log_arm

_AHEAD = "validation.auroc_difference"


@stage()
def evaluate(
    job: Job, prepared: Prepared, trained: Sequence[Trained], priced: Sequence[Priced] = ()
) -> Evidence:
    """Everything the run found, on test records alone; without leave, ε and the schema only.

    Args:
        job: The job.
        prepared: Its loans.
        trained: The registered model, then every other arm.
        priced: The model at other ε, if that was asked for.
    """
    if may_release(job.config):
        return _measured(job, prepared, trained, priced)
    bare = _with_conduct(job, prepared, trained[0], _bare(job, prepared, None))
    arms = [_arm(each, {}, chosen=each.name == FEDERATED) for each in trained]
    for arm in arms:
        log_arm(job, arm)
    say(bare.headline)
    return replace(
        bare,
        arms=arms,
        calibration={"method": "none", "why": "held-out records are not released"},
        monitoring=plan_of(job, {}),
    )


def held_out(prepared: Prepared, seed: int) -> HeldOut:
    """The test records as the gate takes them; a split's name tells what decides who is in it."""
    facts, table = prepared.facts, prepared.charged.table
    rows = np.flatnonzero(facts["part"] == "test")
    chosen = facts.iloc[rows]
    inputs = prepared.frame[prepared.encoder.columns].iloc[rows].reset_index(drop=True)
    return HeldOut(
        inputs=inputs,
        target={"default": chosen["y"].to_numpy(dtype=float)},
        groups=chosen["group"].to_numpy(),
        ids=chosen["record"].to_numpy(),
        outcomes=(HeldOutcome("default", "auroc", ("default",), ("probability",)),),
        split=_split_name(table, seed),
        repeats=repeats_of(len(rows)),
    )


def _split_name(table: LoanTable, seed: int) -> str:
    """Equal names, equal split: data, id, share and key, and which of the records take part."""
    unit = table.borrower or table.record
    by = f"column {table.lender}" if table.lender else f"{table.parts} parts, {table.by}"
    days = " to ".join(str(day.date()) for day in table.approved) if table.approved else "any day"
    later = str(table.later.date()) if table.later is not None and not table.public else "none"
    said = [
        f"credit, {table.name}",
        f"by {unit if unit else 'content'}",
        f"{PARTS['test']:.0%} test",
        f"seed {seed}" if table.public else "secret",
        f"clients by {by}",
        f"largest {table.top or 'all'}{f' after {table.skip}' if table.skip else ''}",
        f"cap {table.cap or 'none'}",
        f"approved {days}",
        f"out of time {later}",
    ]
    return ", ".join(said)


def _measured(
    job: Job, prepared: Prepared, trained: Sequence[Trained], priced: Sequence[Priced]
) -> Evidence:
    facts = prepared.facts
    tested = tested_on(facts, (facts["part"] == "test").to_numpy(), _on_random_split(trained))
    say(f"metrics on {len(tested.y)} test records")
    found = {name: metrics_of(tested, name) for name in tested.scores}
    later = tested_later(prepared, trained)
    for name, values in later.metrics.items() if later else ():
        found.setdefault(name, {}).update(values)
    own = found[FEDERATED] | _renamed(found, LATER)
    for each in trained:
        log_arm(job, _arm(each, found[each.name], each.name == FEDERATED), each.history)
    proposed = _proposal(job, facts, trained, found)
    bare = _bare(job, prepared, _read(own, "auroc"))
    say(bare.headline)
    made = replace(
        bare,
        metrics=own,
        arms=_shown(trained, found),
        calibration=fitted(tested, trained[0]),
        findings=[*proposed, *_findings(tested, own, later)],
        figures=draw(job.folder / "figures", tested, prepared, trained[0]),
    )
    made = with_price(job.folder / "figures", tested, priced, made)
    made = with_lenders(job, prepared, tested, made)
    made = judged(made, job, prepared, tested, trained[0], later.tested if later else None)
    return _with_conduct(job, prepared, trained[0], in_order(made))


def _with_conduct(job: Job, prepared: Prepared, model: Trained, made: Evidence) -> Evidence:
    return with_conduct(made, job.folder / "figures", list(prepared.sizes), model)


def _bare(job: Job, prepared: Prepared, auroc: Interval | None) -> Evidence:
    """What may be said of any run: data, split, privacy, limits."""
    config, charged = job.config, prepared.charged
    privacy = statement(job, charged, prepared.encoder.width)
    again = "charged_again" in privacy if privacy else False
    return Evidence(
        pipeline=job.pipeline,
        headline=words.headline(
            auroc, len(prepared.sizes), privacy["epsilon"] if privacy else None
        ),
        data=prepared.dataset.to_json(),
        split=prepared.split,
        metrics={},
        arms=[],
        privacy=privacy,
        limits=[
            *faint(charged),
            *words.limits(
                private=charged.plan is not None,
                public=is_public(config),
                released=may_release(config),
                builtin=config.data.path is None,
                again=again,
            ),
        ],
        scorecard=_points(job),
    )


def _points(job: Job) -> Table | None:
    """The table of points, beside the run as a file too; None for another model."""
    if job.config.model != "scorecard":
        return None
    for name in (TABLE, CARD):
        client().log_artifact(job.run_id, str(package_of(job) / name), "scorecard")
    return points_table(load_card(package_of(job)))


def _proposal(
    job: Job, facts: pd.DataFrame, trained: Sequence[Trained], found: dict[str, dict[str, float]]
) -> list[str]:
    """The model and each other one on calibration records, and which of them to set.

    Those records calibrated them, by a rising line each, which moves no record before another.
    """
    others = {each.model for each in job.config.others()} & {each.name for each in trained}
    scores = {t.name: t.read() for t in trained if t.name in {FEDERATED, *others}}
    tested = tested_on(facts, (facts["part"] == "calibration").to_numpy(), scores)
    gaps = {other: difference(tested, FEDERATED, other) for other in sorted(others)}
    for other, gap in gaps.items():
        found[other] |= named(_AHEAD, Interval(-gap.value, -gap.high, -gap.low))
    said = [f"Which model: {told}." for told in words.proposal(job.config.model, gaps) if gaps]
    for sentence in said:
        say(sentence)
    return said


def _on_random_split(trained: Sequence[Trained]) -> dict[str, np.ndarray]:
    return {t.name: t.read() for t in trained if t.name not in (LATER, LATER_BOOSTING)}


def _renamed(found: dict[str, dict[str, float]], name: str) -> dict[str, float]:
    return {k: v for k, v in found.get(name, {}).items() if k.startswith(PREFIX)}


def _shown(trained: Sequence[Trained], found: dict[str, dict[str, float]]) -> list[Arm]:
    """An arm and its training on earlier approvals side by side, as one arm's two tests."""
    again = {FEDERATED: LATER, BOOSTING: LATER_BOOSTING}
    return [
        _arm(
            each,
            found[each.name] | _renamed(found, again.get(each.name, "")),
            each.name == FEDERATED,
        )
        for each in trained
        if each.name not in again.values()
    ]


def _arm(each: Trained, metrics: dict[str, float], chosen: bool) -> Arm:
    return Arm(each.name, each.role, metrics, each.seconds, each.note, chosen)


def _read(metrics: dict[str, float], name: str) -> Interval:
    return Interval(metrics[name], metrics[f"{name}_low"], metrics[f"{name}_high"])


def _findings(tested: Tested, own: dict[str, float], later: Later | None) -> list[str]:
    said: list[str | None] = []
    if QUIET in tested.scores:
        said.append(words.cost_of_noise(difference(tested, FEDERATED, QUIET)))
    if PLAIN in tested.scores:
        private = QUIET in tested.scores
        said.append(words.cost_of_privacy(difference(tested, FEDERATED, PLAIN), private))
    if {PLAIN, POOLED} <= tested.scores.keys():
        said.append(words.cost_of_federation(difference(tested, PLAIN, POOLED)))
    if ALONE in tested.scores:
        inside = difference_inside(tested, FEDERATED, ALONE)
        said.append(words.gain_of_federation(difference(tested, FEDERATED, ALONE), inside))
    for control in (POOLED, BOOSTING):
        if control in tested.scores:
            gap = difference(tested, FEDERATED, control)
            said.append(words.against(gap, f"{control}, without privacy"))
    if later is not None:
        boosted = later.metrics.get(LATER_BOOSTING)
        name = f"{PREFIX}.auroc"
        boosting = _read(boosted, name) if boosted else None
        said.append(words.over_time(_read(own, "auroc"), _read(own, name), later.rates, boosting))
    return [sentence for sentence in said if sentence]
