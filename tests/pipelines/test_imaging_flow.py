"""The imaging pipeline from a user's files to a registered version, and what it refuses."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pytest

from domains.errors import InputError
from domains.metrics import Interval
from pipelines.governance import held_out as held
from pipelines.governance import registry
from pipelines.imaging import example, imaging
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging import words as said_of
from pipelines.steps.imaging.bases import Base, find_bases
from pipelines.steps.imaging.effort import (
    EFFORTS,
    IMAGENET,
    has_source,
    strategies,
    wants_controls,
)
from pipelines.steps.imaging.evidence import chosen, evaluate, held_out
from pipelines.steps.imaging.measuring import sensitivity, specificity
from pipelines.steps.imaging.prepare import Prepared, prepare_images
from pipelines.steps.imaging.training import Trained, train_controls, train_finetune, train_transfer
from pipelines.tracking import client, open_job
from tests.domains.sample_images import (
    write_folder,
    write_manifest,
    write_medmnist,
)
from tests.pipelines.sample_imaging import config as _config
from tests.pipelines.sample_imaging import folder as _folder


@pytest.fixture
def home(home: Path) -> Path:
    """A home whose key is known: the split of private images is the same in every run."""
    (home / "key").write_bytes(bytes(range(32)))
    return home


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, Any]:
    """One run on a public manifest with a source task of three classes."""
    folder = tmp_path_factory.mktemp("imaging")
    write_manifest(folder, patients=70, each=3)
    write_folder(folder / "source", each=40, classes=3)
    (folder / "images" / "3-1.png").write_bytes(b"")
    (folder / "home").mkdir()
    (folder / "home" / "key").write_bytes(bytes(range(32)))
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", "public": True}
    config = _config(folder, data={**data, "name": "shapes"}, source=_folder("source"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        result: dict[str, Any] = imaging(config)
        version = client().get_model_version("imaging-shapes", "1")
        evidence = registry.stored_evidence(version)
        answers = held.load(registry.held_out_path(result["run_id"]))
        served = mlflow.pyfunc.load_model("models:/imaging-shapes/1")
    return {"result": result, "evidence": evidence, "answers": answers, "served": served}


def test_a_run_ends_in_a_registered_version_with_its_evidence(run: dict[str, Any]) -> None:
    result, evidence = run["result"], run["evidence"]
    assert result["model"]["version"] == "1"
    for name in ("auroc", "accuracy", "ece"):
        assert result["metrics"][f"{name}_low"] <= result["metrics"][name]
        assert result["metrics"][name] <= result["metrics"][f"{name}_high"]
    assert set(result["controls"]) == {"random-weights"}
    names = [arm["name"] for arm in evidence["arms"]]
    assert names[:2] == ["transfer-imagenet", "transfer-source"]
    assert names[2].startswith("partial-")
    assert sum(arm["chosen"] for arm in evidence["arms"]) == 1
    assert evidence["privacy"] is None
    assert evidence["tables"][-1]["rows"] == [["3-1.png", "empty file"]]
    assert Path(result["report"]).exists()


def test_the_reported_metrics_are_those_of_the_registered_package(run: dict[str, Any]) -> None:
    """The gate tells the very interval that stands over the report."""
    found, told = held.primary(run["answers"]), run["result"]["metrics"]
    assert found.value == pytest.approx(told["auroc"])
    assert (found.low, found.high) == pytest.approx((told["auroc_low"], told["auroc_high"]))


def test_the_findings_name_controls_and_differences(run: dict[str, Any]) -> None:
    found = run["evidence"]
    text = " ".join(
        [*found["findings"], *(line for said in found["remarks"].values() for line in said)]
    )
    for words in ("Use ", "How sure", "random weights", "earn", "source task", "prediction set"):
        assert words in text
    titles = [figure["name"] for figure in run["evidence"]["figures"]]
    assert titles == ["arms", "discrimination", "reliability", "history", "gradcam"]


def test_the_served_version_takes_raw_pixels(run: dict[str, Any]) -> None:
    answers = run["served"].predict(np.zeros((3, 50, 60, 3), np.uint8))
    assert list(answers) == ["p_sick", "p_well"]
    assert len(answers) == 3


def test_the_source_task_is_not_said_to_show_other_patients(run: dict[str, Any]) -> None:
    """The folder of the source task names no patients."""
    assert "of other patients" not in " ".join(run["evidence"]["findings"])
    assert any("Patients are not named in both" in line for line in run["evidence"]["limits"])
    assert not any("No patients are named" in line for line in run["evidence"]["limits"])


# ------------------------------------------------------- stages, without MLflow's registration


@pytest.mark.usefixtures("known_key")
def test_private_images_release_no_learning_curve(
    home: Path, tmp_path: Path, prefect_server: str
) -> None:
    write_folder(tmp_path / "in", each=40)
    config = _config(tmp_path, data=_folder("in"), strategy="finetune", epochs=1, controls="none")
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        bases = find_bases.fn(job, prepared)
        evidence = evaluate.fn(job, prepared, bases, train_finetune.fn(job, prepared, bases, []))
    runs = client().search_runs([e.experiment_id for e in client().search_experiments()])
    assert len(runs) == 2
    assert not [key for run in runs for key in run.data.metrics if key.startswith("curve.")]
    assert "history" not in [figure.name for figure in evidence.figures]


def _stages(config: ImagingConfig) -> tuple[Prepared, list[Trained]]:
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        bases = find_bases.fn(job, prepared)
        probes = train_transfer.fn(job, prepared, bases)
        tuned = train_finetune.fn(job, prepared, bases, probes)
        return prepared, [*probes, *tuned, *train_controls.fn(job, prepared)]


def test_medmnist_files_train_with_three_classes(home: Path, tmp_path: Path) -> None:
    write_medmnist(tmp_path / "small.npz")
    data = {"kind": "medmnist", "path": "small.npz"}
    prepared, trained = _stages(_config(tmp_path, data=data, strategy="transfer"))
    assert [t.name for t in trained] == ["transfer-imagenet", "random-weights"]
    assert prepared.target.dataset.public is False
    assert prepared.target.dataset.digest.startswith("hmac-sha256:")
    assert chosen(trained).name == "transfer-imagenet"


@pytest.mark.usefixtures("known_key")
def test_densenet_without_weights_is_tuned_and_never_called_transfer(
    home: Path, tmp_path: Path
) -> None:
    write_folder(tmp_path / "in", each=40)
    config = _config(tmp_path, data=_folder("in"), backbone="densenet121", epochs=1)
    _, trained = _stages(config)
    assert [t.name for t in trained] == ["finetune-random", "random-weights"]


@pytest.mark.usefixtures("known_key")
def test_held_out_records_are_the_test_records(home: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "in", each=40)
    config = _config(tmp_path, data=_folder("in"))
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        found = held_out(prepared, config)
        rows = prepared.target.rows("test")
        assert len(found.inputs) == len(found.ids) == len(rows)
        assert (found.target["label"] == prepared.target.labels()[rows]).all()
        assert found.outcomes[0].predictions == ("p_c1",)
        assert "secret" in found.split


def test_equal_names_of_splits_mean_equal_splits(home: Path, tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=70, each=3)
    part = np.where(np.arange(len(frame)) < 150, "train", "test")
    frame.assign(split=part, visit=frame["path"]).to_csv(tmp_path / "manifest.csv", index=False)

    def name(seed: int = 0, scale: str = "tiny", **keys: Any) -> str:
        data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", **keys}
        config = _config(tmp_path, data=data, seed=seed, scale=scale)
        with open_job("imaging", config) as job:
            return held_out(prepare_images.fn(job), config).split

    first = name()
    assert first == name(seed=1)  # private: the seed moves nothing
    others = [
        name(name="other"),
        name(patient="visit"),
        name(split="split"),
        name(public=True),
        name(public=True, seed=1),
        name(scale="small"),
        name(window="own"),
        name(channels=1),
    ]
    pictures = tmp_path / "images"
    (pictures / "1-0.png").write_bytes((pictures / "3-0.png").read_bytes())  # joins two patients
    assert len({first, *others, name()}) == 10


# ------------------------------------------------------------------------------- refused


def test_transfer_from_a_backbone_without_weights_is_refused(tmp_path: Path) -> None:
    config = _config(tmp_path, data=_folder("in"), backbone="densenet121", strategy="transfer")
    with pytest.raises(InputError, match="transfer from densenet121 needs weights"):
        strategies(config)
    assert strategies(config.model_copy(update={"weights": tmp_path / "w.pth"})) == ("transfer",)


def test_controls_are_trained_on_private_images_unless_none_is_asked(tmp_path: Path) -> None:
    config = _config(tmp_path, data=_folder("in"))
    assert wants_controls(config)
    assert not wants_controls(config.model_copy(update={"controls": "none"}))


def test_a_refused_set_leaves_no_version(home: Path, tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=20)
    frame["split"] = np.where(np.arange(len(frame)) % 2, "train", "test")
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", "split": "split"}
    config = _config(tmp_path, data=data)
    with (
        pytest.raises(InputError, match="stand on more than one side"),
        open_job("imaging", config) as job,
    ):
        prepare_images.fn(job)
    assert client().search_registered_models() == []


# ------------------------------------------------------------------------------- small parts


def test_the_light_module_agrees_with_the_models() -> None:
    from models.imaging.weights import IMAGENET as KNOWN

    assert IMAGENET == KNOWN
    assert set(EFFORTS) == {"tiny", "small", "full"}
    assert has_source(ImagingConfig())


def test_sensitivity_and_specificity_count_each_class() -> None:
    y, p = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.5, 0.2, 0.5, 0.1])
    assert sensitivity(y, p) == pytest.approx(2 / 3)
    assert specificity(y, p) == pytest.approx(1 / 2)
    assert np.isnan(sensitivity(np.zeros(3), np.zeros(3)))


def _sentences(sizes: int, named: bool, gained: float = 0.01) -> str:
    """Of made-up numbers: a net that had a source task, against size alone."""
    target = SimpleNamespace(sizes=lambda: np.ones((9, sizes)), names_patients=lambda: named)
    source = SimpleNamespace(
        classes=("a", "b"), targets=(), used=lambda: range(80), names_patients=lambda: named
    )
    best = SimpleNamespace(name="transfer-source", validation=0.9)
    scores = {"auroc": 0.8, "auroc_low": 0.7, "auroc_high": 0.9}
    made: dict[str, Any] = {
        "prepared": SimpleNamespace(target=target, source=source),
        "bases": [Base("source", Path("none"), "", trials={"ImageNet weights": 0.7})],
        "trained": [],
        "best": best,
        "metrics": dict.fromkeys((said_of.SIZE, best.name), scores),
        "gaps": {(best.name, said_of.SIZE): Interval(0.1 + gained, gained, 0.2)},
        "calibration": {"method": "none", "records": 3},
    }
    story = said_of.Story(**made)
    return " ".join([*said_of.findings(story), *said_of._source(story)])


def test_sentences_count_size_features_and_say_other_patients_only_where_known() -> None:
    assert "Size alone (5 features, no image)" in _sentences(5, named=True)
    assert "80 images of other patients" in _sentences(5, named=True)
    assert "of other patients" not in _sentences(5, named=False)


def test_a_net_that_adds_nothing_to_size_comes_second_in_the_advice() -> None:
    without = _sentences(5, named=True, gained=0.0)
    assert without.startswith("Measure the size first: size alone (5 features, no image)")
    assert "Only where size cannot be measured, use transfer-source" in without
    assert without.count("ize alone") == 1
    assert _sentences(5, named=True).startswith("Use transfer-source")


def test_pictures_of_unnamed_patients_are_not_passed_off_as_patients() -> None:
    for named in (True, False):
        parts = {part: {"records": 300, "groups": 300} for part in ("test", "validation")}
        target = SimpleNamespace(
            split_counts=lambda parts=parts: parts,
            names_patients=lambda named=named: named,
            dataset=SimpleNamespace(public=True),
        )
        prepared = SimpleNamespace(target=target, source=None, silhouettes=False, size=64)
        best = SimpleNamespace(name="transfer-imagenet")
        story = said_of.Story(prepared, [], [], best, {}, {}, {})  # type: ignore[arg-type]
        told = said_of.limits(story)
        assert told[0].startswith("No patients are named") is not named


def test_arms_that_cannot_be_told_apart_are_chosen_by_their_cost_where_it_differs() -> None:
    arms = [SimpleNamespace(name=name, seconds=s) for name, s in (("a", 2.0), ("b", 2.1))]
    gap = Interval(0.01, -0.02, 0.03)
    assert said_of._sure(gap, arms[0], arms[1], "pictures") == (  # type: ignore[arg-type]
        "these two cannot be told apart on so few pictures, and train about as long"
    )
    arms[1].seconds = 60.0
    assert "a trains in 2.0 s against 60.0 s" in said_of._sure(gap, arms[0], arms[1], "patients")  # type: ignore[arg-type]


def test_the_input_example_is_made_up_and_fits_the_scorer() -> None:
    assert example().shape == (2, 64, 64, 3)
    assert example().dtype == np.uint8
