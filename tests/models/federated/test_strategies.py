"""What each strategy is by its paper, and when it is federated averaging."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

import models.federated
from domains.errors import InputError
from models.federated import FedAvg, Strategy, Terms, run
from models.federated.fedadam import FedAdam
from models.federated.fedprox import FedProx
from models.federated.rounds import Training, train_clients
from models.federated.scaffold import Scaffold
from models.federated.stack import Stack, State
from models.federated.terms import EVERYONE
from models.strategies import STRATEGIES, make, settings_of
from pipelines.settings import CreditConfig, load_config
from pipelines.steps.credit.strategy import strategy_of
from privacy.plan import Schedule
from tests.models.federated.sample_clients import flat, net, sample_clients

SCHEDULE = Schedule(4, 3, 1.0)
CENTRES = torch.tensor([[4.0, 0.0], [-1.0, 3.0], [0.0, -6.0]])
CURVES = torch.tensor([[1.0, 0.1], [0.2, 2.0], [2.0, 0.5]])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(strategy: Strategy, terms: Terms = EVERYONE, sizes: Sequence[int] = (40, 9)) -> Tensor:
    model = net((4,))
    run(model, sample_clients(sizes), SCHEDULE, strategy, terms=terms)
    return flat(model)


class Quadratic:
    """Clients whose losses are ½·h·(y - centre)²: their gradients, and nothing random."""

    def gradients(self, params: State, out: Stack, *_: object) -> None:
        out.parts[0].copy_(CURVES * (params[0] - CENTRES))


def after(strategy: FedAvg, rounds: int, steps: int = 8) -> Tensor:
    """Where the global parameters of the quadratics come to."""
    like, shares = [torch.zeros(2)], torch.full((3,), 1 / 3)
    room = (Stack.of(like, 3), Stack.of(like, 3))
    training = Training([], Schedule(rounds, steps, 1.0), Quadratic(), shares, *room)
    strategy.begin(shares)
    state: State = [torch.tensor([3.0, 3.0])]
    for _ in range(rounds):
        updates = train_clients(training, state, strategy, [])
        state = strategy.fold(state, updates, shares)
    return state[0]


BEST = (CURVES * CENTRES).sum(0) / CURVES.sum(0)


def test_fedprox_without_a_pull_is_fedavg() -> None:
    assert torch.equal(trained(FedProx(0.3, 0.5, mu=0.0)), trained(FedAvg(0.3, 0.5)))


def test_fedprox_takes_the_steps_written_out() -> None:
    strategy, start = FedProx(0.5, mu=2.0), [torch.tensor([1.0])]
    (along,) = strategy.correct([torch.tensor([[4.0]])], [torch.tensor([[3.0]])], start)
    pulled = (3.0 - 0.5 * 4.0 + 0.5 * 2.0 * 1.0) / (1 + 0.5 * 2.0)
    assert 3.0 - 0.5 * along.item() == pytest.approx(pulled)


@pytest.mark.parametrize("mu", [1.0, 100.0, 1e6])
def test_a_stronger_pull_keeps_clients_nearer_and_never_overshoots(mu: float) -> None:
    start, like = [torch.zeros(2)], [torch.zeros(2)]
    lengths = []
    for strength in (0.0, mu):
        room = (Stack.of(like, 3), Stack.of(like, 3))
        training = Training([], Schedule(1, 50, 1.0), Quadratic(), torch.ones(3), *room)
        (moved,) = train_clients(training, start, FedProx(0.3, mu=strength), [])
        lengths.append(moved.norm(dim=1))
    assert (lengths[1] < lengths[0]).all()


def test_the_first_step_of_fedadam_by_hand() -> None:
    strategy = FedAdam(1.0, 0.9, server_rate=0.5, beta2=0.99, tau=0.01)
    (found,) = strategy.fold([torch.ones(1)], [torch.tensor([[0.3], [0.1]])], torch.ones(2) / 2)
    first = 0.1 * 0.2
    second = 0.99 * 0.01**2 + 0.01 * 0.2**2
    assert found.item() == pytest.approx(1.0 + 0.5 * first / (second**0.5 + 0.01), rel=1e-6)
    (found,) = strategy.fold([found], [torch.zeros(2, 1)], torch.ones(2) / 2)
    step = 0.5 * 0.9 * first / ((0.99 * second) ** 0.5 + 0.01)
    assert found.item() == pytest.approx(1.0 + 0.5 * first / (second**0.5 + 0.01) + step, rel=1e-6)


def test_scaffold_with_one_client_is_fedavg() -> None:
    ours = trained(Scaffold(0.3, 0.5), sizes=(40,))
    torch.testing.assert_close(ours, trained(FedAvg(0.3, 0.5), sizes=(40,)), rtol=0, atol=1e-6)


def test_scaffold_with_identical_clients_is_fedavg() -> None:
    (client,) = sample_clients((30,))
    ends = []
    for strategy in (Scaffold(0.3), FedAvg(0.3)):
        model = net((4,))
        run(model, [client] * 3, SCHEDULE, strategy)
        ends.append(flat(model))
    torch.testing.assert_close(*ends, rtol=0, atol=1e-6)


def test_a_control_variate_is_the_mean_gradient_of_its_clients_round() -> None:
    strategy, like = Scaffold(0.1), [torch.zeros(2)]
    strategy.begin(torch.full((3,), 1 / 3))
    room = (Stack.of(like, 3), Stack.of(like, 3))
    training = Training([], Schedule(1, 5, 1.0), Quadratic(), torch.ones(3), *room)
    sent: list[Tensor] = []

    class Watched(Quadratic):
        def gradients(self, params: State, out: Stack, *said: object) -> None:
            super().gradients(params, out, *said)
            sent.append(out.parts[0].clone())

    training = Training([], Schedule(1, 5, 1.0), Watched(), torch.ones(3), *room)
    for weights in (torch.full((3,), 1 / 3), torch.tensor([0.5, 0.0, 0.5])):
        before = strategy.state().get("control.0", torch.zeros(3, 2)).clone()
        sent.clear()
        updates = train_clients(training, [torch.ones(2)], strategy, [])
        strategy.fold([torch.ones(2)], updates, weights)
        expected = torch.where(weights[:, None] > 0, torch.stack(sent).mean(0), before)
        torch.testing.assert_close(strategy.state()["control.0"], expected)


def test_scaffold_ends_the_drift_that_clients_differences_cause() -> None:
    drifted = (after(FedAvg(0.2), 300) - BEST).norm()
    held = (after(Scaffold(0.2), 300) - BEST).norm()
    assert drifted > 0.5
    assert held < 1e-3


def test_fedprox_drifts_less_than_fedavg() -> None:
    drifted = (after(FedAvg(0.2), 300) - BEST).norm()
    assert (after(FedProx(0.2, mu=1.0), 300) - BEST).norm() < 0.9 * drifted


@pytest.mark.parametrize("name", STRATEGIES)
def test_permuting_clients_changes_nothing(name: str) -> None:
    clients = sample_clients((30, 30, 7, 12))
    terms = Terms(participation=0.8, dropout=0.05, times_median=5.0)
    ends = []
    for order in ((0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)):
        model = net((4,))
        strategy = make(name, {}, learning_rate=0.3)
        run(model, [clients[i] for i in order], SCHEDULE, strategy, seed=2, terms=terms)
        ends.append(flat(model))
    assert all(torch.equal(ends[0], end) for end in ends[1:])


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_learns_and_keeps_averages_and_projections(name: str) -> None:
    def not_negative(state: State) -> State:
        return [part.clamp(min=0.0) for part in state]

    shared = {"learning_rate": 0.3, "momentum": 0.5, "averaged": 0.5, "project": not_negative}
    model, clients = net(()), sample_clients((40, 60, 50))
    run(model, clients, Schedule(12, 3, 1.0), make(name, {}, **shared))
    assert flat(model).min() == 0.0
    right = [((model(c.features)[:, 0] > 0) == (c.target > 0)).float().mean() for c in clients]
    assert min(right) > 0.65


NEW = '''
from models.federated.fedavg import FedAvg
from models.federated.stack import State


class Signed(FedAvg):
    """Each weight moves by one length, whichever way the clients agree on."""

    def __init__(self, learning_rate, momentum=0.0, averaged=0.0, project=None, *, length=0.1):
        super().__init__(learning_rate, momentum, averaged, project)
        self._own["length"] = self._length = length

    def advance(self, change: State) -> State:
        return [self._length * each.sign() for each in change]
'''


def test_a_new_strategy_is_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "signed.py").write_text(NEW)
    monkeypatch.setattr(models.federated, "__path__", [*models.federated.__path__, str(tmp_path)])
    monkeypatch.setitem(STRATEGIES, "signed", "signed.Signed")
    overrides = ["strategy=signed", "strategy_settings.length=0.25", "averaged=0"]
    config = load_config("credit", overrides=overrides)
    assert isinstance(config, CreditConfig)
    strategy = strategy_of(config)
    assert "length=0.25" in repr(strategy)
    assert set(trained(strategy).sub(flat(net((4,)))).abs().mul(4).round().tolist()) <= {0, 2, 4}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("fedprox", "mu", -0.1),
        ("fedprox", "mu", float("inf")),
        ("fedprox", "mu", float("nan")),
        ("fedadam", "server_rate", 0.0),
        ("fedadam", "beta2", 1.0),
        ("fedadam", "tau", 0.0),
        ("trimmed-mean", "trim", 0.5),
        ("trimmed-mean", "trim", -0.1),
        ("fedavg", "mu", 0.1),
        ("scaffold", "trim", 0.1),
    ],
)
def test_an_impossible_setting_is_one_line_that_names_it(name: str, key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^{key}: ") as caught:
        make(name, {key: value}, learning_rate=0.3)
    assert "\n" not in str(caught.value)


def test_an_unknown_strategy_is_told_which_there_are() -> None:
    with pytest.raises(InputError, match="found 'fedprx', expected one of fedavg, fedprox"):
        make("fedprx", {}, learning_rate=0.3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_tells_its_settings_and_the_reference_names_them(name: str) -> None:
    own = settings_of(name)
    said = repr(make(name, own, learning_rate=0.3))
    told = CreditConfig.model_fields["strategy_settings"].description or ""
    for key, value in own.items():
        assert f"{key}={value!r}" in said
        assert f"{key} ({value:g})" in told
