"""From the configuration to a federated strategy, and the terms on which clients take part."""

from __future__ import annotations

from collections.abc import Sequence

from domains.errors import InputError
from models.federated import Client, FedAvg, Terms
from models.federated.fedavg import Project
from models.federated.screening import Conduct, told
from models.scorecard_rate import QUIET, fitting_rate
from models.strategies import make
from pipelines.settings import CreditConfig
from privacy.plan import Schedule


def rate_of(config: CreditConfig, clients: Sequence[Client], schedule: Schedule) -> float:
    """The learning rate: what the configuration says, or what the noise allows.

    Args:
        config: A number in it stands; `auto` is `models.scorecard_rate`.
        clients: Who takes part.
        schedule: What trains.
    """
    if config.learning_rate != "auto":
        return config.learning_rate
    return fitting_rate(clients, schedule, config.momentum, terms_of(config))


def strategy_of(
    config: CreditConfig, project: Project | None = None, rate: float = QUIET
) -> FedAvg:
    """A fresh strategy for one training.

    Args:
        config: Names it.
        rate: From `rate_of`; what does not train needs none.
        project: What keeps the parameters where the configuration wants them.

    Raises:
        InputError: Weights by size were asked for where each client counts once.
    """
    made = make(
        config.strategy,
        config.strategy_settings,
        learning_rate=rate if config.learning_rate == "auto" else config.learning_rate,
        momentum=config.momentum,
        averaged=config.averaged,
        project=project,
    )
    if config.weights == "size" and not made.weighed:
        raise InputError(
            f"weights: found size, expected equal or none: "
            f"{config.strategy} counts each client once"
        )
    return made


def terms_of(config: CreditConfig) -> Terms:
    """How often clients take part, with what weight, and how far each may move."""
    return Terms(
        weights=config.weights or "size",
        participation=config.participation,
        dropout=config.dropout,
        **config.updates.model_dump(),
    )


def check_strategy(config: CreditConfig, clients: int) -> None:
    """Refuse what no round could do, before anyone is charged.

    Args:
        config: Names the strategy.
        clients: How many there are.

    Raises:
        InputError: A setting is impossible, or the strategy needs more clients.
    """
    least = strategy_of(config).least
    terms_of(config).check(clients, least, f"strategy {config.strategy}")


def paced(config: CreditConfig, clients: Sequence[Client], schedule: Schedule) -> str:
    """Whether noise made a scorecard's steps shorter, for a note; empty if not."""
    rate = rate_of(config, clients, schedule)
    shorter = config.learning_rate == "auto" and rate < QUIET
    return f"steps of {rate:.2g}, {QUIET:g} without its noise" if shorter else ""


def described(config: CreditConfig, local_steps: int, conduct: Conduct) -> str:
    """Everything about the exchange that is not as usual, for a note; empty if all is."""
    said = []
    if config.strategy != "fedavg":
        own = "".join(f", {key} {value:g}" for key, value in config.strategy_settings.items())
        said.append(f"strategy {config.strategy}{own}")
    if strategy_of(config).local and local_steps == 1:
        said.append("which with one local step is fedavg where all clients take part")
    if config.weights == "equal":
        said.append("clients count the same")
    if config.participation < 1:
        said.append(f"{config.participation:.0%} of the clients drawn for each round")
    if config.dropout:
        said.append(f"{config.dropout:.0%} of the updates lost, as a rehearsal")
    return "; ".join([*said, *filter(None, [told(conduct)])])
