"""What a strategy keeps of earlier rounds is on disk: a killed run ends as one that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.checkpoint import Checkpoint
from models.federated import Rounds, Terms, run
from models.federated.terms import EVERYONE
from models.strategies import STRATEGIES, make
from privacy.plan import Schedule
from tests.models.federated.sample_clients import SILENT, net, sample_clients
from tests.models.interrupted import kills, same

OPEN = Schedule(rounds=4, local_steps=2, sampling_rate=0.5)
QUIET = replace(SILENT, rounds=4, local_steps=2)
SOME = Terms("equal", participation=0.8, dropout=0.02, times_median=2.0, beyond="clip")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(
    name: str, schedule: Schedule, terms: Terms, checkpoint: Checkpoint | None
) -> tuple[dict[str, Tensor], Rounds]:
    model = net((4,))
    strategy = make(name, {}, learning_rate=0.3, momentum=0.5, averaged=0.5)
    clients = sample_clients((30, 20, 25, 35))
    rounds = run(
        model, clients, schedule, strategy, checkpoint=checkpoint, terms=terms, seed=3,
        before_training=lambda _: None,
    )  # fmt: skip
    return model.state_dict(), rounds


@pytest.mark.parametrize("terms", [EVERYONE, SOME])
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    name: str, terms: Terms, tmp_path: Path
) -> None:
    state, rounds = trained(name, OPEN, terms, None)
    ends = kills(lambda checkpoint: trained(name, OPEN, terms, checkpoint), tmp_path)
    assert len(ends) == OPEN.rounds
    for found, again in ends:
        assert same(found, state)
        assert (again.history, again.conduct) == (rounds.history, rounds.conduct)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_private_run_without_noise_resumes_to_the_same_weights(name: str, tmp_path: Path) -> None:
    state, _ = trained(name, QUIET, EVERYONE, None)
    ends = kills(lambda checkpoint: trained(name, QUIET, EVERYONE, checkpoint), tmp_path)
    assert len(ends) == QUIET.rounds + 1  # the first save comes before any round
    assert all(same(found, state) for found, _ in ends)


def test_what_became_of_clients_is_told_after_a_resumption_too(tmp_path: Path) -> None:
    late = Terms(dropout=0.2)
    _, rounds = trained("fedavg", replace(OPEN, rounds=8), late, None)
    assert rounds.conduct
    for _, again in kills(
        lambda checkpoint: trained("fedavg", replace(OPEN, rounds=8), late, checkpoint), tmp_path
    ):
        assert again.conduct == rounds.conduct


def test_a_checkpoint_of_other_terms_or_settings_is_not_taken(tmp_path: Path) -> None:
    path, told = tmp_path / "a.safetensors", list[str]()
    trained("fedavg", OPEN, EVERYONE, Checkpoint(path))
    trained("fedavg", OPEN, SOME, Checkpoint(path, told.append))
    trained("fedprox", OPEN, SOME, Checkpoint(path, told.append))
    assert len(told) == 2
    trained("fedprox", OPEN, SOME, Checkpoint(path, told.append))
    assert len(told) == 2


def test_a_control_variate_of_each_client_is_in_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "a.safetensors", pause=0.0)
    trained("scaffold", OPEN, EVERYONE, checkpoint)
    kept = load_file(checkpoint.path)
    assert kept["strategy.control.0"].shape == (4, 4, 6)
    assert kept["strategy.known"].all()
