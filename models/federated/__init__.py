"""Federated learning: data stay with their owners, updates travel.

`rounds.run` repeats one exchange; a strategy is two hooks, `correct` (the clients' steps) and
`fold` (the aggregate), one strategy a file, named in `models.strategies`. Private, not private,
alone and pooled are one call: what differs is the schedule (a `PrivacyPlan` adds clipping and
noise) and the list of clients. On what `Terms` clients take part holds for every strategy, and so
does what becomes of updates that are late, not finite or too long (`screening`).
All clients train side by side in one tensor a layer (`stacked`), or, where a net has other layers
than Linear ones, one after the other through Opacus (`one_by_one`).
"""

from models.federated.clients import Client
from models.federated.fedavg import FedAvg
from models.federated.rounds import Rounds, run
from models.federated.strategy import Strategy
from models.federated.terms import Terms

__all__ = ["Client", "FedAvg", "Rounds", "Strategy", "Terms", "run"]
