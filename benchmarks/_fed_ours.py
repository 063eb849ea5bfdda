"""One side of `federated`: this house's engine (`--kind dp`, `plain`)."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks._fed_job import BATCH, CLIP, NOISE, RATE, STEPS, WIDTHS, Job, Laps, main, records
from models.federated import Client, FedAvg, run
from privacy.plan import PrivacyPlan, Schedule


def work(job: Job, laps: Laps) -> None:
    """So many rounds of the job."""
    torch.set_num_threads(1)
    clients = []
    for number in range(job.clients):
        x, y = records(job, number)
        size = float(job.rows)
        clients.append(Client(f"{number:05}", torch.from_numpy(x), torch.from_numpy(y), size))
    run(net(), clients, schedule(job, job.kind == "dp"), FedAvg(RATE), laps)


def schedule(job: Job, private: bool) -> Schedule:
    """Batches of 256, twelve steps a round, one round more than is counted."""
    plain = Schedule(job.rounds + 1, STEPS, min(1.0, BATCH / job.rows))
    if not private:
        return plain
    promise = {"epsilon": 8.0, "delta": 1e-5, "noise_multiplier": NOISE, "clip_norm": CLIP}
    return PrivacyPlan(**vars(plain), **promise)


def net() -> nn.Sequential:
    """24-64-32-1 with ReLU."""
    torch.manual_seed(0)
    first, second, third, last = WIDTHS
    hidden = (nn.Linear(first, second), nn.ReLU(), nn.Linear(second, third), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(third, last))


if __name__ == "__main__":
    main(work)
