"""One side of `federated`: this house's engine (`--kind dp`, `plain`, or `parts` of a DP round)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from benchmarks._fed_job import BATCH, CLIP, NOISE, RATE, STEPS, WIDTHS, Job, Laps, main, records
from models.federated import Client, FedAvg, run, stacked
from privacy import noise
from privacy.plan import PrivacyPlan, Schedule


def work(job: Job, laps: Laps) -> None:
    """So many rounds of the job."""
    torch.set_num_threads(1)
    base = torch.empty(job.clients * job.rows, WIDTHS[0])
    clients = []
    for number, mine in enumerate(base.split(job.rows)):
        x, y = map(torch.from_numpy, records(job, number))
        mine.copy_(x)
        clients.append(Client(f"{number:05}", mine, y, float(job.rows)))
    with parts_of_a_round(laps, job) if job.kind == "parts" else nullcontext():
        run(net(), clients, schedule(job, job.kind != "plain"), FedAvg(RATE), laps)


@contextmanager
def parts_of_a_round(laps: Laps, job: Job) -> Iterator[None]:
    """Seconds a round that go into what only a private round does."""
    places = {"noise": (noise, "add_gaussian"), "norms and clipping": (stacked, "clip")}
    real = {name: getattr(*place) for name, place in places.items()}

    def timed(name: str) -> Callable[..., None]:
        def work(*said: Any) -> None:
            started = time.process_time()
            real[name](*said)
            spent = (time.process_time() - started) / (job.rounds + 1)
            laps.parts[name] = laps.parts.get(name, 0.0) + spent

        return work

    for name, (place, function) in places.items():
        setattr(place, function, timed(name))
    yield


def schedule(job: Job, private: bool) -> Schedule:
    """Batches of 256, twelve steps a round, one round more than is counted."""
    rounds, rate = job.rounds + 1, min(1.0, BATCH / job.rows)
    if not private:
        return Schedule(rounds, STEPS, rate)
    return PrivacyPlan(rounds, STEPS, rate, 8.0, 1e-5, NOISE, CLIP)


def net() -> nn.Sequential:
    """24-64-32-1 with ReLU."""
    torch.manual_seed(0)
    first, second, third, last = WIDTHS
    hidden = (nn.Linear(first, second), nn.ReLU(), nn.Linear(second, third), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(third, last))


if __name__ == "__main__":
    main(work)
