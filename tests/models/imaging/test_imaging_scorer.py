"""The served imaging model: raw pixels of any size in, the same answers after saving."""

from pathlib import Path

import numpy as np
import pytest
import torch

from domains.errors import InputError
from domains.healthcare.images.pixels import greyed
from models.imaging.backbones import Classifier, build, settle
from models.imaging.base import ImagingBase
from models.imaging.features import to_batch
from models.imaging.gradcam import heat_maps
from models.imaging.scorer import ImagingScorer
from models.imaging.traced import Traced
from models.scorer import load
from tests.domains.sample_images import picture


def _images(count: int, side: int = 40) -> np.ndarray:
    grey = np.stack([picture(i % 2, i)[:side, :side] for i in range(count)])
    return np.repeat(grey[..., None], 3, axis=3)


@pytest.fixture(scope="module")
def scorer() -> ImagingScorer:
    backbone = settle(build("efficientnet-lite0", 32, seed=0), [to_batch(_images(16)[:, :32, :32])])
    return ImagingScorer(Classifier(backbone, 3).eval(), ("a", "b", "c"), 32, temperature=2.0)


def test_a_saved_scorer_answers_the_same(scorer: ImagingScorer, tmp_path: Path) -> None:
    images = _images(5)
    answers = scorer.predict(images)
    assert load(scorer.save(tmp_path)).predict(images).equals(answers)
    assert list(answers) == ["p_a", "p_b", "p_c"]
    assert np.allclose(answers.sum(axis=1), 1.0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scorer.json", "weights.safetensors"]


def test_grey_images_are_rgb_ones_with_equal_channels(scorer: ImagingScorer) -> None:
    images = _images(4)
    assert scorer.predict(images).equals(scorer.predict(images[..., 0]))


def test_a_net_of_one_channel_sees_the_brightness_of_colours_as_files_are_read() -> None:
    backbone = settle(build("resnet18", 32, seed=0, channels=1), [to_batch(_images(8)[..., :1])])
    net = Classifier(backbone, 2).eval()
    torch.nn.init.normal_(net.head.weight)
    scorer = ImagingScorer(net, ("a", "b"), 32)
    colours = np.random.default_rng(0).integers(0, 256, (3, 50, 41, 3)).astype(np.uint8)
    greys = np.stack([greyed(each) for each in colours])
    said = scorer.predict(colours).to_numpy()
    assert (said == scorer.predict(greys).to_numpy()).all()
    with torch.inference_mode():
        p, _, _ = Traced(scorer).eval()(torch.from_numpy(colours))
    assert np.allclose(p.numpy(), said, atol=2e-5)
    base = ImagingBase(backbone, 32)
    assert base.predict(colours).equals(base.predict(greys))


def test_an_answer_does_not_depend_on_its_neighbours(scorer: ImagingScorer) -> None:
    images = _images(6)
    alone = scorer.predict(images[2:3]).to_numpy()[0]
    assert np.allclose(scorer.predict(images).to_numpy()[2], alone, rtol=0, atol=1e-7)
    many = np.concatenate([images] * 45)  # more than a batch: 257 leaves one image for the next
    for count in (17, 257):
        assert np.allclose(scorer.predict(many[:count]).to_numpy()[2], alone, rtol=0, atol=1e-7)


def test_any_size_is_taken(scorer: ImagingScorer) -> None:
    assert len(scorer.predict(np.zeros((2, 100, 17, 3), np.uint8))) == 2


@pytest.mark.parametrize("shape", [(4, 4), (0, 8, 8, 3), (2, 8, 8, 4), (1, 2, 8, 8, 3)])
def test_impossible_shapes_are_refused(scorer: ImagingScorer, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="shape"):
        scorer.predict(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "densenet121"])
def test_heat_maps_cover_the_image_and_leave_the_net_alone(name: str) -> None:
    net = Classifier(build(name, 48, seed=0), 2).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    images = np.pad(_images(2), ((0, 0), (4, 4), (4, 4), (0, 0)))
    heats = heat_maps(net, images, np.array([0, 1]))
    assert heats.shape == (2, 48, 48)
    assert heats.min() >= 0
    assert heats.max() <= 1
    assert all((before[key] == value).all() for key, value in net.state_dict().items())
