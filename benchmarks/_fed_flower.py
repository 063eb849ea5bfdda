"""One side of `federated`: Flower's simulation, in an environment of its own.

It takes every core of the machine; with `--kind one-core` it has one, as the other sides do.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import Tensor, nn

from benchmarks._fed_job import BATCH, RATE, WIDTHS, Job, Laps, main, records

_HELD: dict[int, tuple[Tensor, Tensor]] = {}


def net() -> nn.Sequential:
    """24-64-32-1 with ReLU."""
    first, second, third, last = WIDTHS
    hidden = (nn.Linear(first, second), nn.ReLU(), nn.Linear(second, third), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(third, last))


def work(job: Job, laps: Laps) -> None:
    """So many rounds of the job: every client in every round, one epoch of batches of 256."""
    torch.set_num_threads(1)
    server, client = ServerApp(), ClientApp()

    class Timed(FedAvg):
        """Says when a round's results are in."""

        def aggregate_train(self, *said: Any) -> Any:
            """The mean of what came back."""
            laps()
            return super().aggregate_train(*said)

    @server.main()
    def serve(grid: Grid, _: Context) -> None:
        everyone = {"fraction_train": 1.0, "fraction_evaluate": 0.0}
        fewest = {"min_train_nodes": job.clients, "min_available_nodes": job.clients}
        Timed(**everyone, **fewest, min_evaluate_nodes=0).start(
            grid=grid, initial_arrays=ArrayRecord(net().state_dict()), num_rounds=job.rounds + 1
        )

    @client.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        x, y = _records(job, int(context.node_config["partition-id"]))
        model = net()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows])[:, 0], y[rows])
            loss.backward()
            optimizer.step()
        told = MetricRecord({"num-examples": len(x)})
        sent = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": told})
        return Message(content=sent, reply_to=message)

    shares: dict[str, Any] = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}}
    if job.kind == "one-core":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        shares["init_args"] = {"num_cpus": 1}
    run_simulation(server, client, job.clients, backend_config=shares)


def _records(job: Job, client: int) -> tuple[Tensor, Tensor]:
    """Made once in each process that plays clients."""
    if client not in _HELD:
        x, y = records(job, client)
        _HELD[client] = torch.from_numpy(x), torch.from_numpy(y)
    return _HELD[client]


if __name__ == "__main__":
    main(work)
