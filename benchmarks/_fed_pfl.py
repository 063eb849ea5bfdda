"""One side of `federated`: pfl 0.6, in an environment of its own."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics, Weighted
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn

from benchmarks._fed_job import BATCH, RATE, WIDTHS, Job, Laps, main, records


class Net(nn.Module):
    """24-64-32-1 with ReLU, as pfl wants a module to be."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, last = WIDTHS
        hidden = (nn.Linear(first, second), nn.ReLU(), nn.Linear(second, third), nn.ReLU())
        self.layers = nn.Sequential(*hidden, nn.Linear(third, last))

    def loss(self, x: Tensor, y: Tensor, eval: bool = False) -> Tensor:
        """Mean cross-entropy."""
        self.eval() if eval else self.train()
        return nn.functional.binary_cross_entropy_with_logits(self.layers(x)[:, 0], y)

    def metrics(self, x: Tensor, y: Tensor, eval: bool = True) -> dict[str, Any]:
        """Nothing but the loss."""
        return {"loss": Weighted(self.loss(x, y, eval).item() * len(y), len(y))}


class Tell(TrainingProcessCallback):
    """Says when a round has ended."""

    def __init__(self, laps: Laps) -> None:
        self._laps = laps

    def after_central_iteration(self, *_: Any, **__: Any) -> tuple[bool, Any]:
        """A round has ended; go on."""
        self._laps()
        return False, Metrics()


def work(job: Job, laps: Laps) -> None:
    """So many rounds of the job: every client in every round, one epoch of batches of 256."""
    torch.set_num_threads(1)
    users = [
        Dataset(raw_data=[torch.from_numpy(part) for part in records(job, i)], user_id=str(i))
        for i in range(job.clients)
    ]
    turn = cycle(range(job.clients))
    data = FederatedDataset(lambda user: users[user], lambda: next(turn))
    net = Net()
    model = PyTorchModel(
        net,
        local_optimizer_create=torch.optim.SGD,
        central_optimizer=torch.optim.SGD(net.parameters(), lr=1.0),
    )
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=job.rounds + 1,
            evaluation_frequency=10**6,
            train_cohort_size=job.clients,
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(training_data=data, val_data=data),
        model=model,
        model_train_params=NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=RATE, local_batch_size=BATCH
        ),
        callbacks=[Tell(laps)],
    )


if __name__ == "__main__":
    main(work)
