"""Training stages of the credit flow: the federated model, and what it is measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models import scorecard, trees
from models.calibration import fit_platt, probabilities
from models.checkpoint import Checkpoint
from models.credit import CreditScorer, build, logits
from models.federated import Client, Rounds, run
from models.federated.fedavg import Project
from models.scorecard_points import Scale
from pipelines.evidence import Role
from pipelines.governance.anchors import anchored
from pipelines.life.arms import checkpoint
from pipelines.progress import say
from pipelines.settings import CreditConfig
from pipelines.stages import stage
from pipelines.steps.credit.charge import Charged, may_release, reserve_again
from pipelines.steps.credit.growth import grown, size_of
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.strategy import described, paced, rate_of, strategy_of, terms_of
from pipelines.tracking import Job
from privacy.plan import Schedule

FEDERATED = "federated"
_TOLD = 10


@dataclass(frozen=True)
class Trained:
    """One arm: its calibrated probabilities for every record, on disk.

    Attributes:
        name, role, note: As the report shows them.
        seconds: Training time.
        scores: File of probabilities, (n,).
        history: One mapping a round.
        calibration: Slope and intercept, or empty where each lender has its own.
        conduct: Client → why its update did not count as sent → rounds.
    """

    name: str
    role: Role
    note: str
    seconds: float
    scores: Path
    history: list[dict[str, float]] = field(default_factory=list)
    calibration: tuple[float, ...] = ()
    conduct: dict[str, dict[str, int]] = field(default_factory=dict)

    def read(self) -> np.ndarray:
        """Probabilities of default, (n,)."""
        p: np.ndarray = np.load(self.scores)
        return p


def package_of(job: Job) -> Path:
    """Where the packed model lies."""
    return job.folder / "package"


@stage(kind="training")
def train_federated(job: Job, prepared: Prepared) -> Trained:
    """The model: every client trains under the plan, updates are averaged, round by round.

    The noise comes from the operating system, so two private runs differ. The charge is closed
    when the last round has ended; a run that dies before leaves it standing. One that is taken up
    again goes on with the round that it was in, and charges its owners for that a second time.

    Raises:
        Refused: An owner's budget does not cover the round to be taken again; nothing more is
            noised, and the first charge stands.
    """
    charged, config = prepared.charged, job.config
    model = new_model(prepared, config, charged.schedule)
    clients = prepared.clients(training_rows(prepared))
    with one_thread():
        rounds = fit(
            model,
            clients,
            charged.schedule,
            config,
            project=projection(prepared, config),
            checkpoint=checkpoint(job, FEDERATED),
            progress=_say_rounds(charged.schedule.rounds),
            before_training=lambda lost: charge_again(job, charged, lost),
        )
    if charged.owners:
        with anchored(job.run_id) as ledger:
            ledger.commit(job.run_id)
    raw = logits(model, prepared.codes)
    slope, intercept = (1.0, 0.0)
    if may_release(config):  # a calibration tells of held-out records
        slope, intercept = platt(prepared, raw)
    raw = _pack(job, prepared, model, (slope, intercept))
    noise = "record-level differential privacy at every client" if charged.plan else "no privacy"
    unusual = described(config, charged.schedule.local_steps, {})
    pace = paced(config, clients, charged.schedule)
    told = [f"{len(clients)} clients, {noise}", grown(model), pace, unusual]
    note = "; ".join(filter(None, told))
    arm = Shape(FEDERATED, "arm", note, rounds.seconds, rounds.history, rounds.conduct)
    return keep(job, arm, raw, (slope, intercept))


def new_model(
    prepared: Prepared, config: CreditConfig, schedule: Schedule
) -> nn.Sequential | trees.Trees:
    """The untrained model; its first weights are public and the same for every arm."""
    if config.model == "scorecard":
        return scorecard.build(prepared.encoder.width)
    if config.model == "trees":
        size = size_of(config, prepared.charged, schedule, prepared.encoder.width)
        shape = (schedule.steps, size.depth, size.features)
        return trees.build(prepared.encoder, *shape, config.seed)
    return build(prepared.encoder.width, config.hidden, config.seed)


def projection(prepared: Prepared, config: CreditConfig) -> Project | None:
    """What keeps the parameters where the configuration wants them."""
    return scorecard.monotone(prepared.encoder, config.monotone)


def _pack(
    job: Job,
    prepared: Prepared,
    model: nn.Sequential | trees.Trees,
    calibration: tuple[float, float],
) -> np.ndarray:
    """Write the model as it will be served; its own log-odds of every record, (n,)."""
    encoder = prepared.encoder
    if not isinstance(model, trees.Trees) and job.config.model == "scorecard":
        scale = Scale(**job.config.points.model_dump())
        card = scorecard.make_card(encoder, model, *calibration, scale)
        card.save(package_of(job))
        return scale.log_odds(card.predict(prepared.frame)["score"].to_numpy())
    CreditScorer(encoder, model, *calibration).save(package_of(job))
    slope, intercept = calibration
    return slope * logits(model, prepared.codes) + intercept


def fit(
    model: nn.Module,
    clients: Sequence[Client],
    schedule: Schedule,
    config: CreditConfig,
    *,
    project: Project | None,
    checkpoint: Checkpoint | None,
    progress: Callable[[int], None] | None = None,
    before_training: Callable[[int], None] | None = None,
) -> Rounds:
    """One federated training; private or not by its schedule, central with a single client."""
    rate = rate_of(config, clients, schedule)
    if isinstance(model, trees.Trees):
        return trees.run(
            model,
            clients,
            schedule,
            trees.Boosting(rate, config.momentum, config.trees.ridge),
            progress,
            seed=config.seed,
            terms=terms_of(config),
            checkpoint=checkpoint,
            before_training=before_training,
        )
    return run(
        model,
        clients,
        schedule,
        strategy_of(config, project, rate),
        progress,
        seed=config.seed,
        checkpoint=checkpoint,
        before_training=before_training,
        terms=terms_of(config),
    )


def charge_again(job: Job, charged: Charged, rounds: int) -> None:
    """Charge every owner for rounds that an earlier process may have noised and not saved.

    Raises:
        Refused: An owner's budget does not cover them.
    """
    plan = charged.plan
    if plan is None or not charged.owners:
        return
    reserve_again(job, charged, plan.round_events(rounds))
    say(f"charged again: {rounds} round(s), for {len(charged.owners)} owner(s)")


def _say_rounds(rounds: int) -> Callable[[int], None]:
    def tell(number: int) -> None:
        if number % _TOLD == 0 or number == rounds:
            say(f"round {number} of {rounds}")

    return tell


@contextmanager
def one_thread() -> Iterator[None]:
    """Such small nets are several times slower on two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Shape:
    """What the report says of an arm, before its scores are kept; see `Trained`."""

    name: str
    role: Role
    note: str
    seconds: float
    history: list[dict[str, float]] = field(default_factory=list)
    conduct: dict[str, dict[str, int]] = field(default_factory=dict)


def keep(job: Job, arm: Shape, raw: np.ndarray, calibration: tuple[float, ...] = ()) -> Trained:
    """Write an arm's calibrated logits (n,) as probabilities."""
    path = job.folder / f"{arm.name.replace(' ', '-').replace(',', '')}.npy"
    np.save(path, probabilities(raw))
    told = (arm.history, calibration, arm.conduct)
    return Trained(arm.name, arm.role, arm.note, arm.seconds, path, *told)


def training_rows(prepared: Prepared) -> np.ndarray:
    """Which records train, (n,) bool."""
    rows: np.ndarray = (prepared.facts["part"] == "train").to_numpy()
    return rows


def platt(
    prepared: Prepared, raw: np.ndarray, rows: np.ndarray | None = None
) -> tuple[float, float]:
    """Slope and intercept from the calibration records among `rows`."""
    facts = prepared.facts
    chosen = (facts["part"] == "calibration").to_numpy()
    if rows is not None:
        chosen = chosen & rows
    slope, intercept = fit_platt(raw[chosen], facts["y"].to_numpy()[chosen])
    # a model no better than chance must not be turned over by its calibration
    return (slope, intercept) if slope > 0 else (1.0, 0.0)


def calibrated(prepared: Prepared, raw: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Logits after `platt`, (n,)."""
    slope, intercept = platt(prepared, raw, rows)
    return slope * raw + intercept
