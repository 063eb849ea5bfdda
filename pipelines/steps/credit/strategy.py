"""From the configuration to a federated strategy, and the terms on which clients take part."""

from __future__ import annotations

from domains.errors import InputError
from models.federated import FedAvg, Terms
from models.federated.fedavg import Project
from models.federated.screening import Conduct, told
from models.strategies import make
from pipelines.settings import CreditConfig


def strategy_of(config: CreditConfig, project: Project | None = None) -> FedAvg:
    """A fresh strategy for one training.

    Args:
        config: Names it.
        project: What keeps the parameters where the configuration wants them.

    Raises:
        InputError: Weights by size were asked for where each client counts once.
    """
    made = make(
        config.strategy,
        config.strategy_settings,
        learning_rate=config.learning_rate,
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
