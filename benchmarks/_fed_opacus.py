"""One side of `federated`: Opacus, client after client (`--kind hooks`, `ghost`).

As favourable to it as can be: the model of a client is wrapped once and keeps its hooks from round
to round, batches are drawn by one comparison and no data loader, and the noise is torch's own.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import Tensor, nn

from benchmarks._fed_job import BATCH, CLIP, NOISE, RATE, STEPS, Job, Laps, main, records
from benchmarks._fed_ours import net

warnings.filterwarnings("ignore")


def work(job: Job, laps: Laps) -> None:
    """So many rounds of the job."""
    torch.set_num_threads(1)
    data = [tuple(map(torch.from_numpy, records(job, i))) for i in range(job.clients)]
    wrap = _ghost if job.kind == "ghost" else _hooks
    model, optimizer, loss = wrap(net())
    state = [parameter.detach().clone() for parameter in model.parameters()]
    for _ in range(job.rounds + 1):
        total = [torch.zeros_like(part) for part in state]
        for x, y in data:
            _load(model, state)
            for _ in range(STEPS):
                drawn = torch.rand(len(x)) < BATCH / job.rows
                optimizer.zero_grad()
                loss(model(x[drawn])[:, 0], y[drawn]).backward()
                optimizer.step()
            for part, parameter in zip(total, model.parameters(), strict=True):
                part += parameter.detach() / job.clients
        state = total
        laps()


def _load(model: nn.Module, state: list[Tensor]) -> None:
    with torch.no_grad():
        for parameter, part in zip(model.parameters(), state, strict=True):
            parameter.copy_(part)


def _hooks(model: nn.Module) -> tuple[Any, Any, Any]:
    """A record's gradient at a time, held in memory."""
    wrapped = GradSampleModule(model)
    inner = torch.optim.SGD(wrapped.parameters(), lr=RATE)
    how = {"noise_multiplier": NOISE, "max_grad_norm": CLIP, "expected_batch_size": BATCH}
    return wrapped, DPOptimizer(inner, **how), nn.BCEWithLogitsLoss()


def _ghost(model: nn.Module) -> tuple[Any, Any, Any]:
    """Norms first, then one weighted sum."""
    wrapped = GradSampleModuleFastGradientClipping(
        model, max_grad_norm=CLIP, use_ghost_clipping=True
    )
    inner = torch.optim.SGD(wrapped.parameters(), lr=RATE)
    how = {"noise_multiplier": NOISE, "max_grad_norm": CLIP, "expected_batch_size": BATCH}
    optimizer = DPOptimizerFastGradientClipping(inner, **how)
    criterion = nn.BCEWithLogitsLoss(reduction="none")
    criterion.reduction = "mean"
    return wrapped, optimizer, DPLossFastGradientClipping(wrapped, optimizer, criterion)


if __name__ == "__main__":
    main(work)
