"""Features at several depths: those of the maps that the encoder names, whoever else asks."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.imaging.backbones import BUILDERS, build
from models.imaging.depths import at_depths


def _pixels(seed: int) -> torch.Tensor:
    return torch.rand((3, 3, 64, 64), generator=torch.Generator().manual_seed(seed)) * 255.0


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_last_depth_is_the_features_and_finer_ones_stand_before_it(name: str) -> None:
    backbone = build(name, 64, seed=0)
    with torch.inference_mode():
        layers, features = at_depths(backbone, _pixels(0)), backbone(_pixels(0))
    assert torch.equal(layers[-1], features)
    assert len(layers) == len(backbone.maps)
    assert all(values.shape[0] == 3 and values.ndim == 2 for values in layers)
    assert not any(module._forward_hooks for module in backbone.modules())


def test_threads_that_share_a_net_each_get_their_own_images() -> None:
    backbone = build("resnet18", 64, seed=0)

    def first(seed: int) -> torch.Tensor:
        with torch.inference_mode():
            return at_depths(backbone, _pixels(seed))[0]

    alone = [first(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(first, range(8)))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(alone, together, strict=True))
