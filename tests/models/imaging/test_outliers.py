"""The sense of the strange: false alarms as rare as stated, and strange images found."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.imaging.outliers import familiar, fit_familiar

_DRAWN = ((300, 0), (99, 1), (200, 2))


def _features(count: int, seed: int, directions: int = 12, d: int = 60) -> np.ndarray:
    """Correlated features of few directions, and a little noise."""
    mix = np.random.default_rng(99).normal(size=(directions, d))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, directions)) @ mix + 0.1 * rng.normal(size=(count, d)) + 5.0


def test_false_alarms_on_new_images_are_at_most_what_is_stated() -> None:
    """Mean over 40 draws, with a tenth of the level to spare for chance."""
    rates = []
    for seed in range(40):
        known = fit_familiar(
            [_features(100, seed)], [_features(99, seed + 500)], np.arange(99), 0.95
        )
        rates.append((known.distance([_features(400, seed + 900)]) > 1).mean())
    assert 0.02 < np.mean(rates) < 0.055


@pytest.mark.parametrize("shift", ["elsewhere", "another direction"])
def test_images_that_are_unlike_lie_beyond_the_limit(shift: str) -> None:
    known = fit_familiar([_features(300, 0)], [_features(99, 1)], np.arange(99), 0.95)
    other = _features(50, 2)
    other = other - 5.0 if shift == "elsewhere" else np.roll(other, 1, axis=1)
    assert (known.distance([other]) > 1).all()


def test_no_record_is_kept_and_what_is_kept_answers_the_same(tmp_path: Path) -> None:
    train = _features(600, 0)
    known = fit_familiar([train], [_features(99, 1)], np.arange(99), 0.95)
    kept = known.arrays()
    assert sum(values.size for values in kept.values()) < train.size / 4
    save_file(kept, tmp_path / "kept.safetensors")
    again = familiar(load_file(tmp_path / "kept.safetensors"))
    assert again.distance([train]).tolist() == known.distance([train]).tolist()
    assert (again.level, again.patients) == (0.95, 99)


def test_what_is_strange_at_one_depth_alone_is_found() -> None:
    """The last features of a fine-tuned net keep the task; the finer ones keep the rest."""
    train, held, other = ([_features(n, s), _features(n, s + 50)] for n, s in _DRAWN)
    known = fit_familiar(train, held, np.arange(99), 0.95)
    assert (known.distance(other) > 1).mean() < 0.15
    for depth in (0, 1):
        strange = [values - 5.0 * (depth == k) for k, values in enumerate(other)]
        assert (known.distance(strange) > 1).all()


def test_a_version_of_old_answers_by_the_last_depth_as_it_did() -> None:
    known = fit_familiar([_features(300, 0)], [_features(99, 1)], np.arange(99), 0.95)
    (cloud,) = known.clouds
    numbers = np.array([cloud.rest, known.limit, known.level, known.patients], np.float32)
    old = {"mean": cloud.mean, "basis": cloud.basis, "scale": cloud.scale, "numbers": numbers}
    finer = _features(50, 3, d=7)
    found = familiar(old).distance([finer, _features(50, 2)])
    assert np.allclose(found, known.distance([_features(50, 2)]), rtol=1e-6)


def test_with_too_few_patients_the_farthest_calibration_image_is_the_limit() -> None:
    held = _features(10, 1)
    known = fit_familiar([_features(300, 0)], [held], np.arange(10), 0.95)
    assert known.distance([held]).max() == pytest.approx(1.0)


def test_dead_features_and_few_images_give_finite_distances() -> None:
    train = _features(6, 0)
    train[:, :45] = 0.0
    known = fit_familiar([train], [train[:2]], np.arange(2), 0.9)
    assert np.isfinite(known.distance([_features(5, 3)])).all()
