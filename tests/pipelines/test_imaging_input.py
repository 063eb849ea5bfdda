"""Image data as a configuration names them: what is read, and what is refused before reading."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from domains.errors import InputError
from domains.healthcare.images.pixels import Reading, Slices
from domains.healthcare.images.split import EXCLUDED
from pipelines.settings import ImagingConfig, load_config
from pipelines.steps.imaging.bases import random_base
from pipelines.steps.imaging.prepare import prepare_images, reading
from pipelines.tracking import open_job, reports_folder
from tests.domains.sample_images import save, save_nifti, write_folder, write_manifest


def _config(folder: Path, **keys: Any) -> ImagingConfig:
    (folder / "job.yaml").write_text(json.dumps({"scale": "tiny", **keys}))  # JSON is YAML
    config = load_config("imaging", folder / "job.yaml")
    assert isinstance(config, ImagingConfig)
    return config


@pytest.fixture
def home(home: Path) -> Path:
    """A home whose key is known: the split of private images is the same in every run."""
    (home / "key").write_bytes(bytes(range(32)))
    return home


def test_a_second_test_set_is_read_as_the_first_and_shares_nothing(
    home: Path, tmp_path: Path
) -> None:
    frame = write_manifest(tmp_path, patients=110)
    patient = frame["patient_id"].str[1:].astype(int)
    rows = {"own": patient < 70, "else": patient >= 65}
    for name, which in rows.items():
        frame[which].to_csv(tmp_path / f"{name}.csv", index=False)
    data = {"kind": "manifest", "patient": "patient_id", "window": [0, 4095]}
    config = _config(
        tmp_path,
        data={**data, "path": "own.csv"},
        test={"kind": "manifest", "patient": "patient_id", "path": "else.csv"},
    )
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        assert prepared.external is not None
        tested = prepared.external.records()
        assert set(tested["part"]) == {"test", EXCLUDED}
        left = set(tested.loc[tested["part"] == "test", "patient"])
        assert left == {f"p{number}" for number in range(70, 110)}
        assert prepared.external.reading == Reading((0.0, 4095.0))


def test_what_is_noted_of_a_second_test_set_is_said_of_that(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(tmp_path, patients=70)
    write_folder(tmp_path / "else", each=3)
    for before, name in (("c0", "well"), ("c1", "sick")):
        (tmp_path / "else" / before).rename(tmp_path / "else" / name)
    config = _config(
        tmp_path,
        data={"kind": "manifest", "path": "manifest.csv", "patient": "patient_id"},
        test={"kind": "folder", "path": "else"},
    )
    with open_job("imaging", config) as job:
        prepare_images.fn(job)
    said = capsys.readouterr()
    assert "test: No patient ids came with these images" in said.out + said.err
    assert said.out.count("No patient ids") + said.err.count("No patient ids") == 1


def test_random_weights_settle_on_as_few_images_as_train(home: Path, tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=16, each=1)
    frame["split"] = ["train"] * 5 + ["validation"] * 4 + ["calibration"] * 3 + ["test"] * 4
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    data = {"kind": "manifest", "path": "manifest.csv", "split": "split"}
    with open_job("imaging", _config(tmp_path, data=data, image_size=32)) as job:
        base = random_base(job, prepare_images.fn(job))
        weights = load_file(base.file)
    assert all(torch.isfinite(each).all() for each in weights.values())


def test_a_source_task_has_seen_no_image_of_the_second_test_set(home: Path, tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=150)
    patient = frame["patient_id"].str[1:].astype(int)
    for name, which in {"a": patient < 50, "b": patient >= 40, "c": patient >= 130}.items():
        frame[which].to_csv(tmp_path / f"{name}.csv", index=False)
    data = {"kind": "manifest", "patient": "patient_id"}
    paths = {"data": "a.csv", "source": "b.csv", "test": "c.csv"}
    config = _config(tmp_path, **{key: {**data, "path": path} for key, path in paths.items()})
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        assert prepared.source is not None
        used = set(prepared.source.used()["patient"].str[1:].astype(int))
    assert used
    assert used <= set(range(50, 130))


def test_lists_stay_beside_the_report_on_this_machine(home: Path, tmp_path: Path) -> None:
    frame = write_manifest(tmp_path).assign(split="train")
    frame.loc[80:, "split"] = "test"
    (tmp_path / frame["path"][0]).write_bytes(b"")
    copied = (tmp_path / frame["path"][100]).read_bytes()
    (tmp_path / frame["path"][2]).write_bytes(copied)
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", "split": "split"}
    with open_job("imaging", _config(tmp_path, data=data)) as job:
        prepare_images.fn(job)
        folder = reports_folder(job.run_id)
    aside = pd.read_csv(folder / "data_set_aside.csv")
    assert [(Path(f).name, why) for f, why in aside.to_numpy()] == [("0-0.png", "empty file")]
    copies = pd.read_csv(folder / "data_copies.csv")
    assert set(copies["file"]) == {frame["path"][2], frame["path"][100]}
    assert set(copies["part"]) == {EXCLUDED, "test"}


def test_columns_that_results_are_told_apart_by_are_kept(home: Path, tmp_path: Path) -> None:
    frame = write_manifest(tmp_path).assign(sex="f", age="40")
    frame.loc[::3, "sex"] = ""
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id"}
    config = _config(tmp_path, data=data, slices=["sex", "age"])
    with open_job("imaging", config) as job:
        records = prepare_images.fn(job).target.records()
    assert set(records["sex"]) == {"f", ""}
    assert set(records["age"]) == {"40"}


def test_a_configuration_of_volumes_is_how_they_are_read(tmp_path: Path) -> None:
    keys = {"axis": "coronal", "every": 4, "between": [0.2, 0.8], "stack": 3}
    data = {"kind": "folder", "path": "in", "window": [-1000, 400], "volume": keys}
    asked = Reading((-1000.0, 400.0), Slices("coronal", 4, (0.2, 0.8), 3))
    assert reading(_config(tmp_path, data=data).data) == asked


def test_a_second_test_set_has_no_window_of_its_own(home: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "in", each=40)
    data = {"kind": "folder", "path": "in"}
    config = _config(tmp_path, data=data, test={**data, "window": [0, 100]})
    with (
        pytest.raises(InputError, match="leave these keys out of test"),
        open_job("imaging", config) as job,
    ):
        prepare_images.fn(job)


def test_volumes_without_a_word_on_slices_are_refused(home: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_nifti(tmp_path / "in" / name / "1.nii", np.zeros((9, 9, 9), np.uint8))
    config = _config(tmp_path, data={"kind": "folder", "path": "in"})
    with (
        pytest.raises(InputError, match=r"a volume, and data\.volume does not say which slices"),
        open_job("imaging", config) as job,
    ):
        prepare_images.fn(job)


def test_an_external_label_that_the_target_lacks_is_refused(home: Path, tmp_path: Path) -> None:
    write_folder(tmp_path / "in", each=40)
    for name in ("c0", "other"):
        save(tmp_path / "out" / name / "1.png", np.zeros((40, 40), np.uint8))
    data = {"kind": "folder", "path": "in"}
    config = _config(tmp_path, data=data, test={"kind": "folder", "path": "out"})
    with (
        pytest.raises(InputError, match=r"have the labels c0, other, expected those .* c0, c1"),
        open_job("imaging", config) as job,
    ):
        prepare_images.fn(job)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"kind": "folder", "patient": "id"}, "patient: names a column, and only kind manifest"),
        ({"kind": "folder", "label": ["a", "b"]}, "label: several columns, and only kind manifest"),
        ({"split_by": "site"}, "split_by: site needs site: the column"),
        ({"split_by": "time"}, "split_by: time needs time: the column"),
        ({"split_by": "time", "time": "t", "split": "s"}, "a given split, and split_by: time"),
        ({"test_sites": ["a"]}, "test_sites: needs split_by: site"),
        ({"test_from": "2024-01-01"}, "test_from: needs split_by: time"),
        ({"window": [400, -1000]}, r"window: found \[400.0, -1000.0\], expected the lower first"),
        ({"volume": {"between": [0.8, 0.2]}}, r"volume.between: found \[0.8, 0.2\]"),
        ({"slice": "k"}, "slice: needs volume"),
        ({"label": ["a", "a"]}, "label: expected a column, or several different ones"),
        ({"label": ["a", "b"], "classes": ["x", "y"]}, "classes: several label columns"),
        ({"classes": ["x", "x"]}, r"classes: found \['x', 'x'\], expected .* each once"),
        ({"classes": ["x"]}, "classes: .* at least two classes"),
        ({"kind": "medmnist", "volume": {}}, "volume: kind medmnist holds no volumes"),
        ({"kind": "builtin", "name": "lidc", "classes": ["x", "y"]}, "classes: the built-in set"),
        ({"duplicates": "keep"}, "data.duplicates: expected 'remove', 'report' or 'refuse'"),
    ],
)
def test_keys_that_do_not_fit_are_named(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _config(tmp_path, data={"kind": "manifest", "path": "m.csv", **keys})


@pytest.mark.parametrize("key", [{"split": "part"}, {"split_by": "site", "site": "s"}])
def test_a_second_test_set_is_not_split(tmp_path: Path, key: dict[str, str]) -> None:
    data = {"kind": "manifest", "path": "m.csv"}
    with pytest.raises(
        InputError, match=rf"test.{min(key)}: all images of test: are tested|split_by"
    ):
        _config(tmp_path, data=data, test={**data, **key})


@pytest.mark.parametrize("name", ["none.pt", "folder"])
def test_a_file_of_weights_that_is_not_there_is_told_before_an_image_is_read(
    home: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    data = {"kind": "folder", "path": "no-images-either"}
    config = _config(tmp_path, data=data, weights=name)
    said = rf"{name}: (no such weights file|a folder), expected a state dict"
    with pytest.raises(InputError, match=said), open_job("imaging", config) as job:
        prepare_images.fn(job)


def test_a_class_whose_name_would_fall_apart_in_a_written_set_is_refused(
    home: Path, tmp_path: Path
) -> None:
    (write_folder(tmp_path / "in", each=30) / "c0").rename(tmp_path / "in" / "a|b")
    data = {"kind": "folder", "path": "in"}
    with (
        pytest.raises(InputError, match=r"class 'a\|b', and prediction sets .*sets: null"),
        open_job("imaging", _config(tmp_path, data=data)) as job,
    ):
        prepare_images.fn(job)
    with open_job("imaging", _config(tmp_path, data=data, sets=None)) as job:
        assert prepare_images.fn(job).target.classes == ("a|b", "c1")
