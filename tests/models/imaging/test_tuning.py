"""Fine-tuning: what is frozen stays so bit by bit, deeper layers take smaller steps."""

import numpy as np
import pytest
import torch
from torch import nn

from models.imaging.augment import augmenter
from models.imaging.backbones import Classifier, build, settle
from models.imaging.examples import Examples
from models.imaging.features import to_batch
from models.imaging.tuning import Tuning, from_scratch, logits, rates, thaw, tune
from tests.domains.sample_images import picture

COUNT = 72
ROWS = np.arange(COUNT)


def _images() -> np.ndarray:
    grey = np.stack([picture(i % 2, i)[4:36, 4:36] for i in range(COUNT)])
    return np.repeat(grey[..., None], 3, axis=3)


def _net(outputs: int = 2) -> Classifier:
    backbone = build("efficientnet-lite0", 32, seed=0)
    return Classifier(settle(backbone, [to_batch(_images())]), outputs)


def _examples(targets: np.ndarray = ROWS % 2) -> Examples:
    return Examples(_images(), targets, ROWS[:48], ROWS[48:])


def _blocks(net: Classifier) -> list[list[torch.Tensor]]:
    return [
        [t.clone() for module in block for t in module.state_dict().values()]
        for block in net.backbone.blocks
    ]


@pytest.mark.parametrize("new_statistics", [False, True])
def test_layers_below_the_last_k_are_bit_identical_buffers_included(new_statistics: bool) -> None:
    net = _net()
    before = _blocks(net)
    tuning = Tuning(epochs=2, batch_size=16, new_statistics=new_statistics)
    tune(net, _examples(), tuning, thawed=lambda _: 3)
    after = _blocks(net)
    same = [
        all(torch.equal(a, b) for a, b in zip(x, y, strict=True))
        for x, y in zip(before, after, strict=True)
    ]
    assert same == [True] * (len(same) - 3) + [False] * 3


def test_statistics_stay_unless_they_are_to_be_new() -> None:
    for new in (False, True):
        net = _net()
        norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
        tuning = Tuning(epochs=1, batch_size=16, new_statistics=new)
        tune(net, _examples(), tuning)
        after = [norm.running_mean for norm in norms if norm.running_mean is not None]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert all(moved) if new else not any(moved)


def test_rates_fall_with_depth_and_cover_what_trains() -> None:
    net = _net()
    thaw(net, None)
    groups = rates(net, Tuning(epochs=1, learning_rate=1e-3, base_rate=0.5, decay=0.8))
    found = [float(group["lr"]) for group in groups]
    assert found[:3] == pytest.approx([1e-3, 5e-4, 4e-4])
    assert found == sorted(found, reverse=True)
    covered = sum(len(group["params"]) for group in groups)
    assert covered == len(list(net.parameters()))


def test_from_scratch_is_one_rate_for_every_layer() -> None:
    net = _net()
    tuning = from_scratch(Tuning(epochs=1))
    thaw(net, None)
    assert {group["lr"] for group in rates(net, tuning)} == {tuning.learning_rate}


def test_the_same_seed_gives_the_same_net() -> None:
    nets = [_net(), _net()]
    with torch.no_grad():
        nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        tune(net, _examples(), Tuning(1), thawed=lambda _: 2)
    pairs = zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


@pytest.mark.parametrize("size", [2, 3])
def test_small_batches_train_too(size: int) -> None:
    net = _net()
    before = net.head.weight.detach().clone()
    fitted = tune(net, _examples(), Tuning(1, batch_size=size), thawed=lambda _: 0)
    assert fitted.history[0]["loss"] > 0
    assert not torch.equal(net.head.weight, before)


def test_what_is_kept_is_the_best_epoch_on_validation() -> None:
    net = _net()
    fitted = tune(net, _examples(), Tuning(3, batch_size=16))
    assert fitted.best == max(point["validation"] for point in fitted.history)
    assert not net.training


def test_real_values_are_learned_by_standardised_error() -> None:
    light = 0.2 + 0.8 * np.random.default_rng(0).uniform(size=COUNT)
    net, images = _net(2), (_images() * light[:, None, None, None]).astype(np.uint8)
    targets = np.stack([100 * light, 5 - light], axis=1).astype(np.float32)
    examples = Examples(images, targets, ROWS[:48], ROWS[48:])
    tuning = Tuning(5, learning_rate=5e-3, batch_size=8)
    fitted = tune(net, examples, tuning, thawed=lambda _: 4)
    assert fitted.best > 0.2
    assert logits(net, images, ROWS[:5]).shape == (5, 2)


@pytest.mark.parametrize("silhouettes", [False, True])
def test_random_views_keep_shape_range_and_layout(silhouettes: bool) -> None:
    batch = to_batch(_images())[:10]
    view = augmenter(32, 0, silhouettes)(batch)
    assert view.shape == batch.shape
    assert view.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= view.min() <= view.max() <= 255
    assert not torch.equal(view, batch)


def test_views_of_silhouettes_move_pixels_and_change_none() -> None:
    batch = to_batch(_images())[:8]
    view = augmenter(32, 1, silhouettes=True)(batch)
    assert torch.equal(view.flatten(1).sort()[0], batch.flatten(1).sort()[0])
