"""A base that a source task trained: registered, taken up again, refused where it has seen."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from domains.errors import InputError
from domains.fetching import file_hash
from pipelines.governance import registry, seen
from pipelines.governance.lineage import lineage
from pipelines.imaging import imaging
from pipelines.status import served as served_models
from pipelines.steps.imaging import base_models
from pipelines.steps.imaging.base_version import Version, register_base
from pipelines.steps.imaging.bases import find_bases
from pipelines.steps.imaging.prepare import prepare_images
from pipelines.steps.imaging.training import train_transfer
from pipelines.tracking import open_job
from tests.domains.sample_images import picture, save, write_folder
from tests.pipelines.sample_imaging import config as _config
from tests.pipelines.sample_imaging import folder as _folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def based(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder beside whose images a base was trained on other ones, and registered.

    Its home's key is known: the split of private images is the same in every run.
    """
    folder = tmp_path_factory.mktemp("bases")
    (folder / "home").mkdir()
    (folder / "home" / "key").write_bytes(bytes(range(32)))
    write_folder(folder / "in", each=40)
    write_folder(folder / "source", each=40, classes=3)
    _redraw(folder / "in")
    config = _config(folder, data=_folder("in"), source=_folder("source", name="forms"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        with open_job("imaging", config) as job:
            prepared = prepare_images.fn(job)
            registered = register_base.fn(job, prepared, find_bases.fn(job, prepared))
        assert registered == Version("models:/imaging-base-forms/1")
        yield folder


def _redraw(folder: Path) -> None:
    """Other pictures under the same names: what names tell in another folder is nothing."""
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        save(file, picture(number // 40, 5000 + number))


def test_a_later_run_starts_from_the_registered_base_and_tells_it(based: Path) -> None:
    config = _config(based, data=_folder("in"), base="models:/imaging-base-forms@base")
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        [base] = find_bases.fn(job, prepared)
        [probe] = train_transfer.fn(job, prepared, [base])
        own = load_file(probe.net) if probe.net else {}
        version = registry.create_version("x", "file:///x", job.run_id, {})
    assert (base.name, probe.name) == ("base", "transfer-base")
    assert base.note == "the registered base imaging-base-forms/1"
    [noted] = lineage(registry.get_version("x", version), None)["bases"]
    assert noted["name"] == "imaging-base-forms/1"
    kept = registry.package_folder("imaging-base-forms", "1") / "weights.safetensors"
    assert noted["digest"] == f"sha256:{file_hash(kept)}"
    state = load_file(kept)
    assert all(torch.equal(state[n], own[f"backbone.{n}"]) for n in state)


def test_who_was_seen_by_a_base_is_seen_by_what_starts_from_it(based: Path) -> None:
    config = _config(based, data=_folder("in"), base="models:/imaging-base-forms/1")
    with open_job("imaging", config) as job:
        find_bases.fn(job, prepare_images.fn(job))
    saw = {(s.model, s.data, s.part) for s in seen.sights(["c2/000.png"])}
    assert {("imaging-shapes", "forms", "source"), ("imaging-base-forms", "forms", "train")} <= saw


def test_a_base_that_has_seen_held_out_images_is_refused(based: Path) -> None:
    shutil.copytree(based / "source" / "c0", based / "again" / "a")
    shutil.copytree(based / "source" / "c1", based / "again" / "b")
    config = _config(based, data=_folder("again"), base="models:/imaging-base-forms@base")
    with (
        pytest.raises(
            InputError, match=r"was trained or chosen on \d+ of the patients or images that are"
        ),
        open_job("imaging", config) as job,
    ):
        find_bases.fn(job, prepare_images.fn(job))


def test_a_base_of_another_net_or_name_is_refused_in_one_line(based: Path) -> None:
    reference = "models:/imaging-base-forms@base"
    with pytest.raises(InputError, match="is a efficientnet-lite0, found backbone: resnet18; set"):
        base_models.registered(reference, "resnet18")
    with pytest.raises(InputError, match="imaging-base-none"):
        base_models.registered("models:/imaging-base-none@base", "resnet18")
    with pytest.raises(InputError, match="is a efficientnet-lite0, found backbone: resnet18; set"):
        imaging.fn(_config(based, data=_folder("none"), base=reference, backbone="resnet18"))


def test_a_registered_base_answers_pixels_with_features(based: Path) -> None:
    served = mlflow.pyfunc.load_model("models:/imaging-base-forms@base")
    features = served.predict(np.zeros((2, 50, 40, 3), np.uint8))
    assert list(features)[:2] == ["f0", "f1"]
    assert features.shape == (2, 1280)
    told = registry.stored_evidence(registry.get_version("imaging-base-forms", "1"))
    assert told["headline"].startswith("A base to start from: efficientnet-lite0, trained on")
    assert told["metrics"] == {}
    served_by = [model["name"] for model in served_models.read()]
    assert "imaging-base-forms" not in served_by  # nobody is asked to make it champion
