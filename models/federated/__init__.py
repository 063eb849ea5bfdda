"""Federated learning: data stay with their owners, updates travel.

`rounds.run` repeats one exchange; a strategy is two hooks, `train` (one client) and `fold` (the
aggregate), one strategy a file. Private, not private, alone and pooled are one call: what differs
is the schedule (a `PrivacyPlan` adds clipping and noise) and the list of clients.
"""

from models.federated.fedavg import FedAvg
from models.federated.rounds import Client, Rounds, run

__all__ = ["Client", "FedAvg", "Rounds", "run"]
