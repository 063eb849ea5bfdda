"""The average of weights: a running mean, and what does not change stays bit for bit."""

import torch
from torch import nn

from models.averaging import Average


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def _weight(net: nn.Module) -> torch.Tensor:
    return net.get_parameter("0.weight").detach()


def test_it_is_the_exponential_mean_of_the_weights() -> None:
    net, steps = _net(), 30
    average, expected = Average(net, 0.5), _weight(net).clone()
    for step in range(1, steps + 1):
        with torch.no_grad():
            _weight(net).add_(1.0)
        average.update(net)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * _weight(net)
    assert torch.allclose(average.state["0.weight"], expected)


def test_what_does_not_move_stays_bit_for_bit_buffers_included() -> None:
    net = _net().eval()
    average = Average(net, 0.9)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    for _ in range(5):
        average.update(net)
    assert all(torch.equal(before[name], tensor) for name, tensor in average.state.items())


def test_a_model_holds_the_mean_for_a_while_and_its_own_weights_again() -> None:
    net = _net()
    average, own = Average(net, 0.9), _weight(net).clone()
    with torch.no_grad():
        _weight(net).mul_(2.0)
    with average.held_by(net):
        assert torch.equal(_weight(net), own)
    assert torch.equal(_weight(net), 2 * own)
