"""Transfer: frozen bit by bit, features computed once, a head that is logistic regression."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from models.imaging import transfer
from models.imaging.backbones import build
from models.imaging.transfer import features, fit_head, freeze, to_batch
from tests.domains.sample_images import picture


def _images(count: int) -> np.ndarray:
    grey = np.stack([picture(i % 2, i)[:32, :32] for i in range(count)])
    return np.repeat(grey[..., None], 3, axis=3)


def test_the_base_is_bit_identical_after_transfer() -> None:
    base = build("efficientnet-lite0", 32, seed=0)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    values = features(base, _images(40))
    rows = np.arange(40)
    fit_head(values, rows % 2, rows[:30], rows[30:], 2)
    assert all(torch.equal(before[name], tensor) for name, tensor in base.state_dict().items())
    assert not any(p.requires_grad for p in base.parameters())


def test_features_do_not_depend_on_the_batch_or_on_training_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, images = build("densenet121", 32, seed=0), _images(12)
    whole = features(base, images)
    base.train()
    monkeypatch.setattr(transfer, "_BATCH", 5)
    assert np.allclose(whole, features(base, images), atol=1e-2 * np.abs(whole).max())


def test_half_precision_features_are_close_to_whole_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    base, images = build("densenet121", 32, seed=0), _images(8)
    monkeypatch.setattr(transfer, "has_bf16", lambda: False)
    whole = features(base, images)
    monkeypatch.setattr(transfer, "has_bf16", lambda: True)
    assert np.allclose(whole, features(base, images), atol=0.05 * np.abs(whole).max())


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
        patch.setattr("models.imaging.transfer.np.save", cut_short)
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


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_is_logistic_regression_with_the_chosen_penalty(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    values = (rng.normal(size=(300, 20)) + labels[:, None] * rng.normal(size=20)) * 7 + 3
    train, validation = np.arange(200), np.arange(200, 300)
    head = fit_head(values.astype(np.float32), labels, train, validation, classes)
    scaled = (values - values[train].mean(axis=0)) / values[train].std(axis=0)
    peer = LogisticRegression(C=1 / (head.penalty * len(train)), max_iter=1000)
    peer.fit(scaled[train], labels[train])
    ours = head.logits(values)
    p = np.exp(ours - ours.max(axis=1, keepdims=True))
    # two classes have two columns here and one in the peer: half the penalty on twice the weights
    tolerance = 0.02 if classes > 2 else 0.12
    assert np.abs(p / p.sum(axis=1, keepdims=True) - peer.predict_proba(scaled)).max() < tolerance


def test_a_constant_feature_does_no_harm() -> None:
    values = np.c_[np.ones(60), np.arange(60) % 2].astype(np.float32)
    rows = np.arange(60)
    head = fit_head(values, rows % 2, rows[:40], rows[40:], 2)
    assert np.isfinite(head.weight).all()
    assert (head.logits(values).argmax(axis=1) == rows % 2).all()


def test_frozen_modules_are_in_eval() -> None:
    base = build("densenet121", 32, seed=0).train()
    freeze(base)
    assert not any(module.training for module in base.modules())
