"""What leaves an owner is a clipped sum with the promised noise, whatever its records are.

Noise cannot be seeded: statistical tests fail on correct code once in 10⁹ runs.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from opacus.grad_sample import GradSampleModule
from opacus.optimizers import DPOptimizer
from scipy import stats
from torch import Tensor, nn

from domains.errors import InputError
from privacy import dpsgd
from privacy.dpsgd import local_update, mean_cross_entropy, plain_update
from privacy.plan import PrivacyPlan, Schedule
from tests.privacy.sample_plans import SILENT

RARELY = 1e-9
pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
UNCLIPPED = replace(SILENT, clip_norm=1e9)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def net(inputs: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 4), nn.Tanh(), nn.Linear(4, 1))


def records(count: int = 50, inputs: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    features = 3 * torch.randn(count, inputs, generator=generator)
    return features, (features[:, 0] > 0).float()


def flat(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def moved(plan: PrivacyPlan, x: Tensor, y: Tensor, model: nn.Module | None = None) -> Tensor:
    """What one call subtracts from the parameters, with learning rate and expected batch 1."""
    model = model or net()
    before = flat(model)
    local_update(model, x, y, plan=plan, expected_batch=1.0, learning_rate=1.0)
    return before - flat(model)


def clipped_by_hand(x: Tensor, y: Tensor, clip: float) -> Tensor:
    total = torch.zeros_like(flat(net()))
    for number in range(len(x)):
        model = net()
        mean_cross_entropy(model(x[number : number + 1]), y[number : number + 1]).backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        total += gradient * min(1.0, clip / float(gradient.norm()))
    return total


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_zero_noise_and_a_huge_clip_equal_the_plain_update(momentum: float) -> None:
    x, y = records()
    private, plain = net(), net()
    for model, update in ((private, local_update), (plain, plain_update)):
        plan = replace(UNCLIPPED, local_steps=5)
        update(model, x, y, plan=plan, expected_batch=50.0, learning_rate=0.3, momentum=momentum)
    torch.testing.assert_close(flat(private), flat(plain), rtol=1e-4, atol=1e-5)
    assert (flat(plain) - flat(net())).norm() > 0.1


def test_the_plain_update_equals_ordinary_gradient_descent() -> None:
    x, y = records()
    ours, theirs = net(), net()
    plain_update(ours, x, y, plan=None, expected_batch=50.0, learning_rate=0.3)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.3)
    mean_cross_entropy(theirs(x), y).backward()
    optimizer.step()
    torch.testing.assert_close(flat(ours), flat(theirs))


@pytest.mark.parametrize("clip", [0.05, 0.5, 5.0])
def test_the_sum_of_clipped_gradients_is_that_of_a_loop_over_records(clip: float) -> None:
    x, y = records()
    found = moved(replace(SILENT, clip_norm=clip), x, y)
    torch.testing.assert_close(found, clipped_by_hand(x, y, clip), rtol=1e-4, atol=1e-5)


def test_the_sum_of_clipped_gradients_is_that_of_opacus_with_all_gradients_in_memory() -> None:
    x, y = records()
    model = GradSampleModule(net())
    inner = torch.optim.SGD(model.parameters(), lr=1.0)
    optimizer = DPOptimizer(inner, noise_multiplier=0, max_grad_norm=0.5, expected_batch_size=1)
    before = flat(model)
    mean_cross_entropy(model(x), y).backward()
    optimizer.step()
    found = moved(replace(SILENT, clip_norm=0.5), x, y)
    torch.testing.assert_close(found, before - flat(model), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e18])
def test_no_record_moves_the_sum_by_more_than_the_clip_norm(size: float) -> None:
    x, y = records()
    plan = replace(SILENT, clip_norm=0.7)
    for number in range(0, 50, 10):
        one = slice(number, number + 1)
        assert moved(plan, size * x[one], y[one]).norm() <= 0.7 * (1 + 1e-5)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 1e38])
def test_a_record_that_overflows_leaves_the_others_as_they_were(bad: float) -> None:
    x, y = records()
    spoilt = torch.cat([x, torch.full((1, 6), bad)])
    wild = moved(SILENT, spoilt, torch.cat([y, y[:1]]))
    assert (wild - moved(SILENT, x, y)).norm() <= SILENT.clip_norm * (1 + 1e-5)


def test_pieces_change_nothing_and_leave_no_record_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = records()
    whole = moved(SILENT, x, y)
    monkeypatch.setattr(dpsgd, "_PIECE_NUMBERS", 7 * len(flat(net())))
    torch.testing.assert_close(moved(SILENT, x, y), whole)


def test_the_divisor_is_the_expected_batch_and_never_the_private_count() -> None:
    x, y = records()
    twice = moved(SILENT, torch.cat([x, x]), torch.cat([y, y]))
    torch.testing.assert_close(twice, 2 * moved(SILENT, x, y))


def noise_of_many(x: Tensor, y: Tensor, plan: PrivacyPlan, repeats: int = 400) -> np.ndarray:
    model = net()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    signal = moved(replace(plan, noise_multiplier=0.0), x, y, copy.deepcopy(model))
    draws = [moved(plan, x, y, copy.deepcopy(model)) - signal for _ in range(repeats)]
    return torch.stack(draws).numpy().astype(np.float64)


@pytest.mark.parametrize("count", [50, 0])
def test_noise_has_the_promised_sigma_in_every_coordinate_used_or_not(count: int) -> None:
    x, y = records(count)
    x[:, 3:] = 0.0  # columns nobody uses
    plan = replace(SILENT, noise_multiplier=1.3, clip_norm=0.5)
    noise = noise_of_many(x, y, plan) / (1.3 * 0.5)
    repeats, coordinates = noise.shape
    low, high = stats.chi2.ppf([RARELY / coordinates, 1 - RARELY / coordinates], repeats)
    sums = (noise**2).sum(axis=0)
    assert ((low < sums) & (sums < high)).all()
    assert stats.kstest(noise.ravel(), "norm").pvalue > RARELY
    between = np.asarray(np.corrcoef(noise.T))[np.triu_indices(coordinates, 1)]
    assert np.abs(between).max() < 7 / np.sqrt(repeats)


def test_every_local_step_adds_its_own_noise() -> None:
    x, y = records(0)
    plan = replace(SILENT, noise_multiplier=1.0, local_steps=16)
    draws = torch.stack([moved(plan, x, y) for _ in range(50)]).double().numpy()
    low, high = stats.chi2.ppf([RARELY / 2, 1 - RARELY / 2], draws.size)
    assert low < (draws**2).sum() / 16 < high


def test_the_seed_does_not_reach_the_noise() -> None:
    x, y = records(0)
    plan = replace(SILENT, noise_multiplier=1.0)
    assert not torch.equal(moved(plan, x, y), moved(plan, x, y))  # net() seeds torch each time


def test_each_step_draws_every_record_with_the_sampling_rate() -> None:
    x, y = records(200)
    drawn: list[Tensor] = []

    def spy(logits: Tensor, target: Tensor) -> Tensor:
        drawn.append(target.clone())
        return mean_cross_entropy(logits, target % 1)

    plan = replace(SILENT, sampling_rate=0.3, local_steps=100)
    y = torch.arange(200).float() + 0.5  # tells the records apart
    local_update(net(), x, y, plan=plan, expected_batch=60.0, learning_rate=0.0, loss=spy)
    sizes = [len(sample) for sample in drawn]
    assert stats.binomtest(sum(sizes), 200 * 100, 0.3).pvalue > RARELY
    assert np.var(sizes) == pytest.approx(200 * 0.3 * 0.7, rel=0.9)  # a fixed size has variance 0
    times = np.unique(torch.cat(drawn).numpy(), return_counts=True)[1]
    assert len(times) == 200
    assert times.max() < stats.binom.isf(RARELY / 200, 100, 0.3)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_step_that_draws_nobody_still_adds_noise(count: int) -> None:
    x, y = records(count)
    plan = replace(SILENT, noise_multiplier=1.0, sampling_rate=1e-12)
    assert (moved(plan, x, y) != 0).all()


def test_layers_without_closed_form_norms_are_clipped_the_same() -> None:
    class Own(nn.Linear):
        """Not the type that ghost clipping knows."""

    x, y = records()
    model = net()
    model[0].__class__ = Own
    found = moved(replace(SILENT, clip_norm=0.5), x, y, model)
    torch.testing.assert_close(found, clipped_by_hand(x, y, 0.5), rtol=1e-4, atol=1e-5)


def test_frozen_parameters_stay_and_a_leaving_model_carries_no_gradients() -> None:
    x, y = records()
    model = net().eval()
    first = next(model.children()).requires_grad_(False)
    before = flat(first)
    plan = replace(SILENT, noise_multiplier=1.0)
    local_update(model, x, y, plan=plan, expected_batch=1.0, learning_rate=1.0)
    assert torch.equal(flat(first), before)
    assert not model.training
    assert_no_trace(model)


def test_nothing_of_the_records_stays_on_the_model_when_a_step_fails() -> None:
    x, y = records()

    def broken(logits: Tensor, target: Tensor) -> Tensor:
        raise RuntimeError("stop")

    model = net()
    with pytest.raises(RuntimeError, match="stop"):
        local_update(model, x, y, plan=SILENT, expected_batch=1.0, learning_rate=1.0, loss=broken)
    assert_no_trace(model)


def assert_no_trace(model: nn.Module) -> None:
    plain = set(vars(nn.Linear(1, 1))) | {"in_features", "out_features"}
    for module in model.modules():
        assert set(vars(module)) <= plain
        assert not module._forward_hooks
        assert not module._backward_hooks
    for parameter in model.parameters():
        assert parameter.grad is None
        assert not vars(parameter)


@pytest.mark.parametrize("update", [local_update, plain_update])
def test_layers_that_mix_records_are_refused(update: object) -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    x, y = records()
    with pytest.raises(InputError, match="layer 1 \\(BatchNorm1d\\)"):
        update(model, x, y, plan=SILENT, expected_batch=1.0, learning_rate=1.0)  # type: ignore[operator]


@pytest.mark.parametrize("expected", [0.0, -1.0, float("nan")])
def test_an_impossible_expected_batch_is_refused(expected: float) -> None:
    x, y = records()
    with pytest.raises(InputError, match="expected_batch"):
        local_update(net(), x, y, plan=SILENT, expected_batch=expected, learning_rate=1.0)


def test_the_control_can_be_repeated_from_a_seed() -> None:
    x, y = records()
    ends = []
    for _ in range(2):
        model = net()
        plan = Schedule(rounds=1, local_steps=4, sampling_rate=0.5)
        plain_update(model, x, y, plan=plan, expected_batch=25.0, learning_rate=0.3)
        ends.append(flat(model))
    assert torch.equal(*ends)
