"""What makes one step of many outcomes' losses."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from domains.errors import InputError
from models.multitask.gradients import combined, cosines, jacobian
from models.multitask.learning import Recipe, train
from models.multitask.masked import Records
from models.multitask.named import BALANCING, SHARING, balance, network
from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from tests.models.sample_outcomes import codecs, records

SIZES = {"a": 1, "b": 1, "c": 1}


class Tug(Network):
    """Outcomes that pull one shared point, and a point of their own, to a target each."""

    def __init__(self, targets: list[list[float]]) -> None:
        super().__init__(Shape(1, {str(k): 1 for k in range(len(targets))}, 1))
        self.targets = torch.tensor(targets)
        self.common = nn.Parameter(torch.zeros(self.targets.shape[1]))
        self.own = nn.Parameter(torch.zeros(len(targets)))

    def shared(self) -> list[nn.Parameter]:
        return [self.common]

    def losses(self) -> Tensor:
        return (self.common * self.targets).sum(dim=1) + 3 * self.own


AGREE, OPPOSE = [[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [-0.5, 1.0]]


def step(tug: Tug, name: str) -> Tensor:
    tug.zero_grad()
    torch.manual_seed(0)
    balance(name, 2)(tug.losses(), tug).backward()
    assert tug.common.grad is not None
    return tug.common.grad.clone()


@pytest.mark.parametrize("name", BALANCING)
def test_outcomes_that_agree_take_a_step_that_helps_all(name: str) -> None:
    tug = Tug(AGREE)
    assert (jacobian(tug.losses(), tug.shared()) @ step(tug, name) > 0).all()


@pytest.mark.parametrize("name", ["pcgrad", "upgrad"])
def test_no_outcome_is_made_worse_by_a_reconciled_step(name: str) -> None:
    tug = Tug([[4.0, 0.0], [-1.0, 0.2]])
    rows = jacobian(tug.losses(), tug.shared())
    assert (rows @ step(tug, "equal"))[1] < 0, "equal weights must hurt one, or this shows nothing"
    assert (rows @ step(tug, name) >= -1e-4).all()


@pytest.mark.parametrize(("name", "close"), [("pcgrad", 1e-6), ("upgrad", 1e-3)])
def test_projected_gradients_are_those_of_the_papers(name: str, close: float) -> None:
    """Of two outcomes both papers project each gradient onto what the other leaves."""
    first, second = torch.tensor(OPPOSE)
    dot = first @ second
    expected = first - dot / (second @ second) * second + second - dot / (first @ first) * first
    assert torch.allclose(step(Tug(OPPOSE), name), expected, atol=close)


@pytest.mark.parametrize("name", ["equal", "pcgrad", "upgrad"])
def test_what_is_an_outcomes_own_is_left_to_it(name: str) -> None:
    tug = Tug(OPPOSE)
    step(tug, name)
    assert tug.own.grad is not None
    assert tug.own.grad.tolist() == [3.0, 3.0]


def test_a_sum_put_together_from_gradients_is_the_sum() -> None:
    torch.manual_seed(0)
    made, x = network("mmoe", Shape(5, SIZES, 8)).eval(), torch.randn(9, 5)

    def losses() -> Tensor:
        return torch.stack([out.square().mean() for out in made(x).values()])

    plain = losses().sum()
    plain.backward()
    expected = [None if p.grad is None else p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    total = combined(losses(), made, lambda rows: rows.sum(dim=0))
    total.backward()
    assert total.item() == pytest.approx(plain.item())
    for parameter, gradient in zip(made.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert gradient is not None
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


def test_cosines_tell_who_pulls_against_whom() -> None:
    tug = Tug([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0]])
    expected = [[1, -1, 0], [-1, 1, 0], [0, 0, 1]]
    assert cosines(tug.losses(), tug).tolist() == expected


def test_an_outcome_that_stays_uncertain_counts_less() -> None:
    tug, weights = Tug(OPPOSE), balance("uncertainty", 2)
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        weights(torch.tensor([0.5, 4.0]), tug).backward()
        optimizer.step()
    (parameter,) = weights.parameters()
    # the optimum is a weight of one over the loss
    assert torch.exp(-parameter).tolist() == pytest.approx([2.0, 0.25], rel=2e-2)


def test_uncertainty_is_the_papers_loss_times_two() -> None:
    weights, losses = balance("uncertainty", 3), torch.tensor([0.5, 1.0, 4.0])
    (parameter,) = weights.parameters()
    assert weights(losses, Tug(OPPOSE)).item() == pytest.approx(5.5), "at first equal weights"
    sigma = torch.tensor([0.5, 1.0, 3.0])
    with torch.no_grad():
        parameter.copy_(2 * sigma.log())
    paper = (losses / (2 * sigma**2) + sigma.log()).sum()
    assert weights(losses, Tug(OPPOSE)).item() == pytest.approx(2 * paper.item(), rel=1e-5)


def test_three_projected_gradients_are_those_of_one_of_the_papers_orders() -> None:
    """Each gradient in turn loses what opposes the others', which are taken in a random order."""
    rows = torch.tensor([[1.0, 0.0, 0.2], [-0.5, 1.0, 0.0], [-0.7, -0.6, 1.0]])

    def projected(place: int, order: tuple[int, ...]) -> Tensor:
        found = rows[place].clone()
        for other in order:
            found = (
                found
                - (found @ rows[other]).clamp(max=0) / rows[other].square().sum() * (rows[other])
            )
        return found

    orders = [list(permutations([other for other in range(3) if other != k])) for k in range(3)]
    possible = [
        torch.stack([projected(k, order) for k, order in enumerate(chosen)]).sum(dim=0)
        for chosen in product(*orders)
    ]
    tug, met = Tug(rows.tolist()), set()
    for seed in range(30):
        tug.zero_grad()
        torch.manual_seed(seed)
        balance("pcgrad", 3)(tug.losses(), tug).backward()
        assert tug.common.grad is not None
        close = [k for k, each in enumerate(possible) if torch.allclose(tug.common.grad, each)]
        assert close, "no order of the paper gives this step"
        met.add(close[0])
    assert len(met) > 1


def test_random_weights_are_the_softmax_of_normal_numbers() -> None:
    weights = balance("random", 3)
    torch.manual_seed(0)
    found = weights(torch.tensor([1.0, 10.0, 100.0]), Tug(OPPOSE)).item()
    torch.manual_seed(0)
    drawn = torch.randn(3).softmax(dim=0)
    assert found == pytest.approx(3 * (drawn @ torch.tensor([1.0, 10.0, 100.0])).item(), rel=1e-5)


def test_random_weights_are_those_of_equal_on_average() -> None:
    tug, weights = Tug(OPPOSE), balance("random", 2)
    torch.manual_seed(0)
    drawn = [float(weights(torch.tensor([1.0, 3.0]), tug).detach()) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(4.0, abs=0.08)
    assert np.std(drawn) > 0.1


@pytest.mark.parametrize("balancing", [name for name in BALANCING if name != "equal"])
@pytest.mark.parametrize("sharing", SHARING)
def test_every_pair_trains_or_is_refused_by_name(sharing: str, balancing: str) -> None:
    made, (training, validation) = codecs(), records()
    recipe = Recipe(sharing, hidden=8, epochs=2, patience=2, seed=0, balancing=balancing)
    refused = {"none": "trains apart"}
    if balancing in ("pcgrad", "upgrad"):
        refused["soft"] = "has none; expected sharing one of hard, cross-stitch, mmoe, groups"
    if sharing in refused:
        with pytest.raises(InputError, match=f"{balancing} .* sharing {sharing} .*") as raised:
            train(recipe, made, training, validation)
        assert refused[sharing] in str(raised.value)
        return
    learned = train(recipe, made, training, validation)
    assert all(len(history.history) == 2 for history in learned.histories)
    compared = 0 if sharing == "soft" else learned.histories[0].best_epoch
    assert len(learned.cosines) == compared  # of two epochs both are powers of two


@pytest.mark.parametrize("balancing", ["pcgrad", "upgrad"])
def test_gradients_are_reconciled_within_a_group(balancing: str) -> None:
    """The first group learns what it learns alone, and so not by equal weights."""
    made, (training, validation) = codecs(), records()
    group, rest = tuple(made)[:3], tuple(made)[3:]

    def first(how: str, groups: tuple[tuple[str, ...], ...]) -> dict[str, Tensor]:
        recipe = Recipe("groups", 8, 2, 2, 0, balancing=how, groups=groups)
        few = {name: made[name] for each in groups for name in each}
        return train(recipe, few, training, validation).network.independent()[0].state_dict()

    def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
        return all(torch.equal(one[key], other[key]) for key in one)

    reconciled = first(balancing, (group, rest))
    assert same(reconciled, first(balancing, (group, rest)))
    assert not same(reconciled, first("equal", (group, rest)))


@pytest.mark.parametrize(("epochs", "compared"), [(1, (1,)), (3, (1, 2)), (9, (1, 2, 4, 8))])
def test_gradients_are_compared_after_epochs_that_double(
    epochs: int, compared: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(losses: Tensor, network: Network) -> Tensor:
        calls.append(len(losses))
        return cosines(losses, network)

    monkeypatch.setattr("models.multitask.learning.cosines", counted)
    training, validation = records()
    learned = train(Recipe("hard", 8, epochs, epochs, 0), codecs(), training, validation)
    assert len(calls) == len(compared)
    best = learned.histories[0].best_epoch
    assert learned.compared == tuple(epoch for epoch in compared if epoch <= best)


def test_cosines_are_cosines() -> None:
    made, (training, validation) = codecs(), records()
    learned = train(Recipe("hard", 8, 4, 4, 0), made, training, validation)
    assert learned.cosines.shape == (len(learned.compared), len(made), len(made))
    assert np.allclose(learned.cosines, np.swapaxes(learned.cosines, 1, 2), atol=1e-6)
    assert np.allclose(np.diagonal(learned.cosines, axis1=1, axis2=2), 1, atol=1e-5)
    assert (np.abs(learned.cosines) <= 1 + 1e-5).all()


def test_cosines_of_groups_are_those_within_them() -> None:
    made, (training, validation) = codecs(), records()
    names = list(made)
    groups = ((names[4], names[0]), (names[2],), (names[1], names[3], names[5], names[6]))
    learned = train(Recipe("groups", 8, 4, 4, 0, groups=groups), made, training, validation)
    assert learned.cosines.shape == (len(learned.compared), len(made), len(made))
    together = np.array([[any(a in g and b in g for g in groups) for b in names] for a in names])
    assert np.array_equal(~np.isnan(learned.cosines[0]), together)
    assert np.allclose(np.diagonal(learned.cosines, axis1=1, axis2=2), 1, atol=1e-5)
    assert learned.cosines[0, 4, 0] == learned.cosines[0, 0, 4] != 0


def test_comparing_gradients_changes_no_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    made, (training, validation) = codecs(), records()
    recipe = Recipe("hard", 8, 3, 3, 0)
    with_angles = train(recipe, made, training, validation).network.state_dict()
    monkeypatch.setattr("models.multitask.learning._COMPARED", 7)
    without = train(recipe, made, training, validation).network.state_dict()
    assert all(torch.equal(with_angles[key], without[key]) for key in without)


def test_records_without_a_label_of_an_outcome_leave_its_gradient_alone() -> None:
    made, (training, validation) = codecs(), records()
    y = {name: values.copy() for name, values in training.y.items()}
    y["death"][:] = np.nan
    learned = train(
        Recipe("hard", 8, 2, 2, 0), made, Records(training.x, y, training.numbers), validation
    )
    angles = learned.cosines[:, list(made).index("death")]
    assert np.allclose(angles, 0.0)
