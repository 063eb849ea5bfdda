"""Features of a frozen base: it stays bit by bit, and one forward pass is all they cost."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.imaging import features as features_module
from models.imaging import precision
from models.imaging.backbones import build, freeze
from models.imaging.features import features, to_batch
from tests.domains.sample_images import picture


def _images(count: int) -> np.ndarray:
    grey = np.stack([picture(i % 2, i)[:32, :32] for i in range(count)])
    return np.repeat(grey[..., None], 3, axis=3)


def test_the_base_is_bit_identical_after_a_pass() -> None:
    base = build("efficientnet-lite0", 32, seed=0)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    features(base, _images(40))
    assert all(torch.equal(before[name], tensor) for name, tensor in base.state_dict().items())
    assert not any(p.requires_grad for p in base.parameters())


def test_features_do_not_depend_on_the_batch_or_on_training_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, images = build("densenet121", 32, seed=0), _images(12)
    whole = features(base, images)
    base.train()
    monkeypatch.setattr(features_module, "_BATCH", 5)
    assert np.allclose(whole, features(base, images), atol=1e-2 * np.abs(whole).max())


def test_half_precision_features_are_close_to_whole_ones_and_are_kept_apart(
    tmp_path: Path,
) -> None:
    base, images = build("densenet121", 32, seed=0), _images(8)
    whole = features(base, images, tmp_path, "float32")
    halved = features(base, images, tmp_path, "bfloat16")
    assert np.allclose(whole, halved, atol=0.05 * np.abs(whole).max())
    assert not np.array_equal(whole, halved)
    assert len(list(tmp_path.iterdir())) == 2


def test_half_precision_is_taken_where_it_pays_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: True)
    assert precision.half("efficientnet-lite0", "auto", training=False)
    assert not precision.half("efficientnet-lite0", "auto", training=True)  # depthwise: slower
    assert precision.half("densenet121", "auto", training=True)
    assert not precision.half("densenet121", "float32", training=True)
    monkeypatch.setattr(precision, "has_bf16", lambda: False)
    assert not precision.half("densenet121", "auto", training=False)
    assert precision.half("efficientnet-lite0", "bfloat16", training=True)


def test_features_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, images = build("efficientnet-lite0", 32, seed=0), _images(10)
    first = features(base, images, tmp_path)
    monkeypatch.setattr(base, "forward", lambda _: pytest.fail("a second forward pass"))
    assert (features(base, images, tmp_path) == first).all()


def test_features_written_by_half_are_not_taken_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, images = build("efficientnet-lite0", 32, seed=0), _images(10)

    def cut_short(path: Path, values: np.ndarray) -> None:
        path.write_bytes(values.tobytes()[:99])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("models.imaging.features.np.save", cut_short)
        with pytest.raises(KeyboardInterrupt):
            features(base, images, tmp_path)
    assert (features(base, images, tmp_path) == features(base, images)).all()


def test_other_images_or_weights_are_not_taken_from_the_cache(tmp_path: Path) -> None:
    images = _images(10)
    features(build("efficientnet-lite0", 32, seed=0), images, tmp_path)
    features(build("efficientnet-lite0", 32, seed=1), images, tmp_path)
    features(build("efficientnet-lite0", 32, seed=0), images[::-1], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_batches_keep_the_pixels() -> None:
    images = _images(3)
    batch = to_batch(images)
    assert batch.shape == (3, 3, 32, 32)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert (batch.permute(0, 2, 3, 1).numpy() == images).all()


def test_frozen_modules_are_in_eval() -> None:
    base = build("densenet121", 32, seed=0).train()
    freeze(base)
    assert not any(module.training for module in base.modules())
