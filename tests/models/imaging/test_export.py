"""Exported files answer as the scorer does, to pixels of any size and any number of images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from domains.healthcare.images.pixels import resize
from models.imaging.backbones import Classifier, build, settle
from models.imaging.conformal import Sets
from models.imaging.export import Form, can_export, export, open_file, parity
from models.imaging.features import to_batch
from models.imaging.outliers import fit_familiar
from models.imaging.scorer import ImagingScorer
from models.imaging.traced import Squeeze, Traced
from tests.domains.sample_images import picture


def _images(count: int, height: int = 40, width: int = 40) -> np.ndarray:
    grey = np.stack([picture(i % 2, i) for i in range(count)])
    tall = np.stack([resize(np.repeat(g[..., None], 3, axis=2), max(height, width)) for g in grey])
    return np.ascontiguousarray(tall[:, :height, :width])


@pytest.fixture(scope="module")
def scorer() -> ImagingScorer:
    torch.manual_seed(0)
    backbone = settle(build("resnet18", 32, seed=0), [to_batch(_images(16, 32, 32))])
    net = Classifier(backbone, 3).eval()
    torch.nn.init.normal_(net.head.weight, std=0.3)
    plain = ImagingScorer(net, ("a", "b", "c"), 32)
    _, features = plain.read(_images(24, 32, 32))
    return ImagingScorer(
        net,
        ("a", "b", "c"),
        32,
        temperature=1.7,
        views="mirrored",
        sets=Sets(0.9, "aps", 0.8, 40),
        familiar=fit_familiar(features, features, np.arange(24), 0.9),
    )


@pytest.mark.parametrize("shape", [(32, 32), (128, 128), (97, 301), (20, 24), (32, 200), (28, 28)])
def test_squeezing_is_that_of_the_files_reader(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape, 3)).astype(np.uint8)
    found = Squeeze(32)(torch.from_numpy(pixels)).permute(0, 2, 3, 1).numpy()
    wanted = np.stack([resize(each, 32) for each in pixels]).astype(float)
    assert (found == wanted).all()


def test_the_traced_module_says_what_the_scorer_says(scorer: ImagingScorer) -> None:
    images = _images(5, 32, 32)
    with torch.inference_mode():
        p, members, distance = Traced(scorer).eval()(torch.from_numpy(images))
    said = scorer.judge(images)
    assert np.allclose(p.numpy(), said.predictions.to_numpy(), atol=2e-5)
    assert said.sets is not None
    assert said.distance is not None
    names = np.array(scorer.classes)
    assert [tuple(names[row]) for row in members.numpy()] == said.sets
    assert np.allclose(distance.numpy(), said.distance, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pt2", "onnx"])
def test_files_answer_as_the_scorer(form: Form, scorer: ImagingScorer, tmp_path: Path) -> None:
    if not can_export(form):
        pytest.skip("the extra onnx is not installed")
    file = export(scorer, tmp_path, (form,))[form]
    batches = [_images(1, 32, 32), _images(7, 32, 32), _images(3, 64, 50)]
    found = parity(scorer, form, file, batches)
    assert found.images == 11
    assert found.probability < 2e-4
    assert found.distance is not None
    assert found.distance < 1e-3
    assert found.sets is not None
    assert found.sets <= 1 / 11
    probabilities, members, distance = open_file(form, file)(batches[1])
    assert probabilities.shape == members.shape == (7, 3)
    assert distance.shape == (7,)
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
