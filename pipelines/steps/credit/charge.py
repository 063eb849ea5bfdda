"""First stages of the credit flow: whose loans, what the plan costs them, and their consent.

Owners, their numbers of records and the schema are public; the plan is made from them, and every
owner is charged for it, or the job ends. Of the records nothing is taken here but keyed
fingerprints, once the budgets were found to suffice: records that somebody else was charged for are
refused, and then nobody is granted or charged anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from domains import durable
from domains.banking import sba
from domains.banking.census import Census, LoanTable, private_columns, take_census
from domains.errors import InputError, Refused, Waiting
from domains.sources import fetch
from pipelines.governance.anchors import anchored
from pipelines.life.outside import outside
from pipelines.progress import say
from pipelines.settings import CreditConfig, Grant, home_key, open_ledger
from pipelines.stages import stage
from pipelines.steps.credit.brought import brought, remember_file
from pipelines.steps.credit.strategy import check_strategy
from pipelines.tracking import Job
from privacy.accounts import Cut
from privacy.key import name_of
from privacy.plan import PrivacyPlan, Schedule, calibrate

_ROUNDS = {
    ("mlp", "tiny"): 2,
    ("mlp", "small"): 20,
    ("scorecard", "tiny"): 10,
    ("trees", "tiny"): 5,
}
_CAP = {"tiny": 600, "small": 3000}
_TOP = {"tiny": 3}
_PUBLIC_GRANT = Grant(epsilon=300.0, delta=1e-5)
"""What owners of the built-in records allow; these are public, so it lasts for many runs."""


@dataclass(frozen=True)
class Charged:
    """What a job may do, and who has paid for it.

    Attributes:
        table: The loans, not read yet.
        census: Public facts about them.
        schedule: Rounds, steps and sampling; a `PrivacyPlan` in a private run.
        owners: Who was charged; empty without privacy.
    """

    table: LoanTable
    census: Census
    schedule: Schedule
    owners: tuple[str, ...] = ()

    @property
    def plan(self) -> PrivacyPlan | None:
        """The privacy plan of a private run."""
        return self.schedule if isinstance(self.schedule, PrivacyPlan) else None


def is_public(config: CreditConfig) -> bool:
    """Whether the records may be used without a charge: built-in ones, or said to be public."""
    return config.data.path is None or config.data.public


def may_release(config: CreditConfig) -> bool:
    """Whether numbers from held-out records may leave their owner."""
    return is_public(config) or config.release == "metrics"


@stage(retries=1)
def find_loans(job: Job) -> LoanTable:
    """Where the loans are and what their columns mean; the built-in set is fetched."""
    config: CreditConfig = job.config
    return _own(config) if config.data.path else _builtin(config)


@stage()
def charge(job: Job, table: LoanTable) -> Charged:
    """Make the plan and reserve it with every owner, before anything is learnt from a record.

    A process that takes the job up after this was cut short finds its own reservation.

    Raises:
        Refused: An owner granted nothing, the plan does not fit in what is left, or the records
            were cut or split otherwise before, or charged to others; nobody is charged then.
        Waiting: An earlier process was charged for another file.
        InputError: The strategy cannot be had, or not with so few clients; or the file changed
            while it was looked at.
    """
    config: CreditConfig = job.config
    remember_file(job, table)
    census = take_census(table)
    check_strategy(config, len(census.sizes))
    schedule = make_schedule(config, table, census)
    if not isinstance(schedule, PrivacyPlan) or config.privacy is None:
        return Charged(table, census, schedule)
    owners = owners_of(table, census)
    grant = config.privacy.grant or (None if config.data.path else _PUBLIC_GRANT)
    sizes = list(census.sizes.values()) if table.lender else [census.records]
    with anchored(job.run_id) as ledger:
        ledger.reserve(
            job.run_id,
            dict.fromkeys(owners, schedule.events()),
            cut=None if table.public else _cut_of(table, census),
            grant=(grant.epsilon, grant.delta) if grant else None,
            sizes=dict(zip(owners, sizes, strict=True)),
            records=None if table.public else lambda: brought(job, table, owners),
        )
    say(f"charged ε {schedule.spent():.3g} to {len(owners)} owner(s)")
    return Charged(table, census, schedule, owners)


@contextmanager
def nothing_released(job: Job, charged: Charged) -> Iterator[None]:
    """Give the charge back if the block fails: nothing computed in it has been noised or released.

    A job that is killed outright stays charged, because nobody can know how far it came; and so
    does one of which an earlier process has begun to noise. What merely interrupts the job leaves
    the charge to the process that takes it up.

    Raises:
        Refused: The charge was given back already, by a process that was killed as it ended.
    """
    ledger = open_ledger()
    if charged.owners and ledger.standing(job.run_id) != "reserved":
        raise Refused(f"{job.name}: the charge of run {job.run_id} was given back; train again")
    try:
        yield
    except BaseException as error:
        waits = isinstance(error, Waiting) or outside(error)
        if charged.owners and not (waits or _noising(job).exists()):
            reason = f"{type(error).__name__} before anything was noised or released"
            ledger.cancel(job.run_id, reason)
        raise


def before_noise(job: Job, charged: Charged) -> None:
    """Say on disk that noised counts are about to be made; where an earlier process has said so
    and left none, charge every owner for a second set.

    Raises:
        Waiting: An owner's budget does not cover that; the first charge stands.
    """
    plan, mark = charged.plan, _noising(job)
    if plan is None or not plan.setup_events():
        return
    if mark.exists():
        reserve_again(job, charged, plan.setup_events())
        say(f"charged again: bins and value lists, for {len(charged.owners)} owner(s)")
    durable.write(mark, "")


def reserve_again(job: Job, charged: Charged, events: list[dict[str, Any]]) -> None:
    """Charge every owner for what an earlier process may have noised and not kept.

    Raises:
        Waiting: An owner's budget does not cover that; the job goes on once it does.
    """
    try:
        with anchored(job.run_id) as ledger:
            ledger.reserve(job.charge_id, dict.fromkeys(charged.owners, events))
    except Refused as error:
        raise Waiting(f"{error} (then `careledger resume {job.run_id}` goes on)") from None


def _noising(job: Job) -> Path:
    return job.folder / "noising"


def make_schedule(config: CreditConfig, table: LoanTable, census: Census) -> Schedule:
    """Rounds, steps and sampling, with the noise that the configuration's ε asks for."""
    rounds = min(config.rounds, _ROUNDS.get((config.model, config.scale), config.rounds))
    if config.privacy is None:
        return Schedule(rounds, config.local_steps, config.sampling_rate)
    private = private_columns(table, census.columns)
    columns, numbers = len(private), [n for n in private if table.types.get(n) == "number"]
    sizes = census.sizes.values()
    return calibrate(
        config.privacy.epsilon,
        config.privacy.delta,
        rounds=rounds,
        local_steps=config.local_steps,
        sampling_rate=config.sampling_rate,
        clip_norm=config.clip_norm,
        setup_share=config.privacy.setup_share if columns else 0.0,
        setup_columns=columns,
        setup_categories=columns - len(numbers),  # what is not declared may turn out to be text
        records=max(sizes) if table.lender else census.records,  # of the largest owner
    )


def owners_of(table: LoanTable, census: Census) -> tuple[str, ...]:
    """Owners to charge: `DATA/CLIENT`, or DATA where the job cuts the clients itself."""
    if table.lender is None:
        return (table.name,)
    return tuple(f"{table.name}/{client}" for client in census.sizes)


def _cut_of(table: LoanTable, census: Census) -> Cut:
    return Cut(table.name, table.lender, unit_of(table, census), name_of(home_key()))


def unit_of(table: LoanTable, census: Census) -> tuple[str, ...]:
    """Columns whose values say which records are held out; see `privacy.units`."""
    return (table.borrower,) if table.borrower else tuple(sorted(census.columns))


def _builtin(config: CreditConfig) -> LoanTable:
    clients, target = config.clients, config.target
    lender = sba.LENDER if clients is None else clients.column
    top = sba.LENDERS if clients is None else clients.top
    window = config.data.approved or sba.WINDOW
    return LoanTable(
        name=str(config.data.name),
        path=fetch(str(config.data.name), progress=say),
        public=True,
        target=target.column if target else sba.TARGET,
        positive=target.positive if target else sba.POSITIVE,
        negative=_several(target.negative if target else None),
        top=_smallest(top, _TOP.get(config.scale)) if lender else None,
        skip=clients.skip if clients else 0,
        borrower=config.data.id or sba.BORROWER,
        record=sba.LOAN,
        date=sba.APPROVED,
        approved=_days(window),
        later=pd.Timestamp(config.data.out_of_time or sba.OUT_OF_TIME),
        incomplete=True,
        derived=sba.DERIVED,
        features=sba.FEATURES,
        **_cut(config),
        **(_common(config) | {"lender": lender}),
    )


def _own(config: CreditConfig) -> LoanTable:
    data, clients, target = config.data, config.clients, config.target
    if data.path is None or clients is None or target is None:
        raise InputError("data.path, clients and target: needed for a file of your own")
    return LoanTable(
        name=data.name or data.path.name.partition(".")[0],
        path=data.path,
        public=data.public,
        target=target.column,
        positive=target.positive,
        negative=_several(target.negative),
        top=clients.top,
        skip=clients.skip,
        borrower=data.id,
        date=data.date,
        approved=_days(data.approved) if data.approved else None,
        later=pd.Timestamp(data.out_of_time) if data.out_of_time else None,
        **_cut(config),
        **_common(config),
    )


def _cut(config: CreditConfig) -> dict[str, Any]:
    """How the job cuts clients, if it does; scaled down only where records are public."""
    clients = config.clients
    cap = _CAP.get(config.scale) if is_public(config) else None
    if clients is None or clients.count is None:
        return {"cap": cap}
    return {"cap": cap, "parts": clients.count, "by": clients.by, "alpha": clients.alpha}


def _common(config: CreditConfig) -> dict[str, Any]:
    return {
        "lender": config.clients.column if config.clients else None,
        "exclude": frozenset(
            {*config.exclude, *(() if config.fairness.as_features else config.protected)}
        ),
        "protected": tuple(config.protected),
        "bounds": config.bounds,
        "categories": config.categories,
        "types": {**dict.fromkeys(config.monotone, "number"), **config.data.types},
    }


def _several(value: Any) -> tuple[str | int | float, ...]:
    return () if value is None else tuple(value) if isinstance(value, list) else (value,)


def _days(window: Any) -> tuple[pd.Timestamp, pd.Timestamp]:
    first, last = window
    return pd.Timestamp(first), pd.Timestamp(last)


def _smallest(first: int | None, second: int | None) -> int | None:
    return min((n for n in (first, second) if n is not None), default=None)
