"""What a packed model says beside its probabilities: sets, distances, views."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from domains.sources import fetch
from models.imaging.backbones import Classifier, build
from models.imaging.conformal import Sets
from models.imaging.outliers import fit_familiar
from models.imaging.scorer import ImagingScorer
from models.imaging.views import Views, views
from models.imaging.weights import load_imagenet
from models.scorer import load
from tests.domains.sample_images import picture

SIDE = 32


def _images(count: int, start: int = 0) -> np.ndarray:
    grey = np.stack([picture(i % 2, start + i)[:SIDE, :SIDE] for i in range(count)])
    return np.repeat(grey[..., None], 3, axis=3)


@pytest.fixture(scope="module")
def scorer() -> ImagingScorer:
    torch.manual_seed(0)
    file = fetch("efficientnet-lite0")
    net = Classifier(load_imagenet(build("efficientnet-lite0", SIDE), file), 2).eval()
    torch.nn.init.normal_(net.head.weight, std=0.2)
    scorer = ImagingScorer(net, ("a", "b"), SIDE, temperature=2.0)
    _, known = scorer.read(_images(200))
    _, held = scorer.read(_images(200, start=500))
    familiar = fit_familiar(known, held, np.arange(200), 0.95)
    return replace(scorer, sets=Sets(0.9, "lac", 0.7, 60), familiar=familiar)


def test_a_saved_scorer_says_the_same_of_an_image(scorer: ImagingScorer, tmp_path: Path) -> None:
    whole = replace(scorer, views="mirrored")
    images = _images(9, start=900)
    said, again = whole.judge(images), load(whole.save(tmp_path)).judge(images)  # type: ignore[attr-defined]
    assert again.predictions.equals(said.predictions)
    assert again.sets == said.sets
    assert said.distance is not None
    assert np.allclose(again.distance, said.distance, rtol=1e-5)


def test_images_of_another_kind_are_told_from_new_ones_of_the_same(scorer: ImagingScorer) -> None:
    same = scorer.judge(_images(100, start=2000)).distance
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (50, SIDE, SIDE, 3)).astype(np.uint8)
    waves = np.sin(np.arange(SIDE) * rng.uniform(0.5, 3.0, (50, 1)))[:, None, :, None]
    stripes = np.broadcast_to(127 + 120 * waves, noise.shape).astype(np.uint8)
    assert same is not None
    assert (same > 1).mean() <= 0.14  # level .95, and four standard errors
    for strange in (noise, stripes):
        far = scorer.judge(strange).distance
        assert far is not None
        assert (far > 1).mean() > 0.9


def test_like_images_that_were_spoiled_are_warned_of(scorer: ImagingScorer) -> None:
    """Blurred, inverted and faded ones: the last features alone miss most of some of them."""
    images = _images(60, start=3000).astype(float)
    rolled = [np.roll(images, by, axis=axis) for axis in (1, 2) for by in (-2, -1, 0, 1, 2)]
    spoiled = {
        "blurred": np.mean(rolled, axis=0),
        "inverted": 255.0 - images,
        "faded": 128 + 0.3 * (images - 128),
    }
    for name, pixels in spoiled.items():
        far = scorer.judge(pixels.astype(np.uint8)).distance
        assert far is not None
        assert (far > 1).mean() > 0.9, name


@pytest.mark.parametrize("how", ["mirrored", "turned"])
def test_with_views_the_answer_does_not_depend_on_how_an_image_lies(
    how: Views, scorer: ImagingScorer
) -> None:
    images = _images(4)
    plain, seen = scorer, replace(scorer, views=how)
    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    assert np.abs(plain.read(images)[0] - plain.read(mirrored)[0]).max() > 1e-2
    assert np.allclose(seen.read(images)[0], seen.read(mirrored)[0], atol=1e-4)
    if how == "turned":
        laid = np.ascontiguousarray(np.rot90(images, axes=(1, 2)))
        assert np.allclose(seen.read(images)[0], seen.read(laid)[0], atol=1e-4)


def test_views_move_pixels_and_change_none() -> None:
    pixels = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).reshape(2, 3, 4, 4)
    for how, count in (("one", 1), ("mirrored", 2), ("turned", 8)):
        found = views(pixels, how)  # type: ignore[arg-type]
        assert len(found) == len({tuple(view.flatten().tolist()) for view in found}) == count
        assert all(torch.equal(view.flatten(1).sort()[0], pixels.flatten(1)) for view in found)
