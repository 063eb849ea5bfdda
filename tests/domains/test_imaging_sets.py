"""Sets of files as they come: volumes, several labels, who is held out, and what is set aside."""

import hashlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from domains.errors import InputError
from domains.healthcare.image_manifest import Columns
from domains.healthcare.image_overlap import external
from domains.healthcare.image_pixels import Reading, Slices
from domains.healthcare.image_set import ImageSet
from domains.healthcare.image_split import EXCLUDED, Rule
from domains.healthcare.imaging import Request, prepare
from domains.splits import split_key
from tests.domains.sample_images import (
    picture,
    save,
    save_dicom,
    save_nifti,
    save_series,
    write_folder,
    write_manifest,
)

KEY = split_key(0, None)


def _prepare(tmp_path: Path, name: str = "set", **request: Any) -> ImageSet:
    return prepare(Request(**request), tmp_path / name, 32, KEY)


def _manifest(tmp_path: Path, frame: pd.DataFrame, name: str = "set", **request: Any) -> ImageSet:
    """A set of a manifest; names of columns as in the configuration, `rule` and the like apart."""
    frame.to_csv(tmp_path / "manifest.csv", index=False)
    known = {field.name for field in fields(Columns)}
    columns = Columns(
        **{"patient": "patient_id"} | {k: v for k, v in request.items() if k in known}
    )
    rest = {key: value for key, value in request.items() if key not in known}
    path = tmp_path / "manifest.csv"
    return _prepare(tmp_path, name, kind="manifest", path=path, columns=columns, **rest)


def _film(label: int, seed: int) -> np.ndarray:
    """int16 (9, 40, 40): a made-up volume of one class."""
    return np.stack([picture(label, 100 * seed + k) for k in range(9)]).astype(np.int16) * 4


# ------------------------------------------------------------------------- DICOM and volumes


def test_dicom_files_in_folders_are_split_by_the_patient_they_name(tmp_path: Path) -> None:
    for label in range(2):
        for number in range(60):
            file = tmp_path / "in" / f"c{label}" / f"IM{number}"
            save_dicom(file, picture(label, 1000 * label + number), PatientID=f"P{number % 20}")
    data = _prepare(tmp_path, kind="folder", path=tmp_path / "in")
    records = data.records()
    assert len(records) == 120
    assert data.names_patients()
    assert records["patient"].nunique() == 20
    assert (records.groupby("patient")["part"].nunique() == 1).all()
    assert not records["patient"].str.startswith("P").any()
    assert not any("No patient ids" in note for note in data.dataset.notes)


def test_every_series_below_a_class_is_a_volume(tmp_path: Path) -> None:
    for label in range(2):
        for number in range(25):
            save_series(tmp_path / "in" / f"c{label}" / f"{number}", _film(label, number))
    reading = Reading((0.0, 1020.0), Slices(every=4))
    data = _prepare(tmp_path, kind="folder", path=tmp_path / "in", reading=reading)
    records = data.records()
    assert len(records) == 2 * 25 * 3
    assert sorted({name.rpartition("#")[2] for name in records["id"]}) == ["0", "4", "8"]
    volume = records["id"].str.rpartition("#")[0]
    assert (records.groupby(volume)["part"].nunique() == 1).all()
    assert not data.names_patients()
    assert any("the slices of one stay together" in note for note in data.dataset.notes)


def test_a_manifest_takes_volumes_and_single_slices_of_them(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        save_nifti(tmp_path / f"{number}.nii.gz", _film(number % 2, number).transpose(2, 1, 0))
        rows += [
            {
                "path": f"{number}.nii.gz",
                "patient_id": f"p{number}",
                "cut": k,
                "label": (number + k) % 2,
            }
            for k in (2, 5)
        ]
    reading = Reading((0.0, 1020.0), Slices())
    data = _manifest(tmp_path, pd.DataFrame(rows), slice="cut", reading=reading)
    records = data.records()
    assert records["id"].str.rpartition("#")[2].value_counts().to_dict() == {"2": 40, "5": 40}
    by_id = records.set_index("id")["label"]
    assert [by_id["3.nii.gz#2"], by_id["3.nii.gz#5"]] == [1, 0]
    whole = pd.DataFrame(rows).drop_duplicates("path")
    reading = Reading((0.0, 1020.0), Slices(every=3, stack=3))
    data = _manifest(tmp_path, whole, "whole", reading=reading)
    assert len(data.records()) == 40 * 3
    assert (data.images()[..., 0] != data.images()[..., 2]).any()


def test_a_slice_that_is_not_there_is_set_aside_alone(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        save_nifti(tmp_path / f"{number}.nii", _film(number % 2, number).transpose(2, 1, 0))
        rows.append({"path": f"{number}.nii", "label": number % 2, "cut": 4, "patient_id": number})
    rows.append({"path": "7.nii", "label": 1, "cut": 9, "patient_id": 7})
    reading = Reading((0.0, 1020.0), Slices())
    data = _manifest(tmp_path, pd.DataFrame(rows), slice="cut", reading=reading)
    assert [(Path(f).name, why) for f, why in data.set_aside()] == [
        ("7.nii#9", "no such slice: there are 0 to 8")
    ]
    assert len(data.records()) == 40


# ------------------------------------------------------------------------- several labels


def test_several_label_columns_are_labels_of_their_own(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=80)
    draws = np.random.default_rng(0)
    wanted = draws.integers(0, 2, (len(frame), 3))
    for column, name in enumerate(("edema", "mass", "nodule")):
        frame[name] = np.where(wanted[:, column], ["1", "yes"][column % 2], "0")
    data = _manifest(tmp_path, frame, labels=("edema", "mass", "nodule"))
    assert data.multilabel
    assert data.classes == ("edema", "mass", "nodule")
    labels = data.labels()
    assert labels.dtype == np.int8
    by_path = dict(zip(frame["path"], wanted.tolist(), strict=True))
    assert labels.tolist() == [by_path[name] for name in data.records()["id"]]
    frame.loc[3, "mass"] = "perhaps"
    with pytest.raises(InputError, match="row 5: column 'mass' is one of several labels"):
        _manifest(tmp_path, frame, labels=("edema", "mass", "nodule"))


def test_a_label_nobody_has_is_refused(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path).assign(a="1", b="0")
    frame.loc[::2, "a"] = "0"
    with pytest.raises(InputError, match="no image with label 'b' is in the train part"):
        _manifest(tmp_path, frame, labels=("a", "b"))


@pytest.mark.parametrize("width", [1, 4])
def test_medmnist_labels_of_one_column_are_classes_and_of_more_are_labels(
    tmp_path: Path, width: int
) -> None:
    draws, arrays = np.random.default_rng(0), {}
    for part, count in (("train", 60), ("val", 40), ("test", 40)):
        arrays[f"{part}_images"] = draws.integers(0, 255, (count, 28, 28), dtype=np.uint8)
        top = 5 if width == 1 else 2  # one column may be ordinal
        arrays[f"{part}_labels"] = draws.integers(0, top, (count, width), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    data = _prepare(tmp_path, kind="medmnist", path=tmp_path / "a.npz")
    assert data.multilabel == (width > 1)
    assert data.classes == tuple(str(k) for k in range(5 if width == 1 else 4))
    every = np.concatenate([arrays[f"{part}_labels"] for part in ("train", "val", "test")])
    assert (data.labels() == (every[:, 0] if width == 1 else every)).all()
    if width > 1:
        arrays["val_labels"][0, 0] = 3
        np.savez(tmp_path / "b.npz", allow_pickle=False, **arrays)
        with pytest.raises(InputError, match="4 labels an image, expected 0 or 1"):
            _prepare(tmp_path, kind="medmnist", path=tmp_path / "b.npz")


# ------------------------------------------------------------------------- who is held out


def _sites(tmp_path: Path, sites: int = 6) -> pd.DataFrame:
    frame = write_manifest(tmp_path, patients=90)
    patient = frame["patient_id"].str[1:].astype(int)
    frame["clinic"] = [f"s{number % sites}" for number in patient // 2]
    frame["taken"] = [
        f"20{number % 10 + 10}-03-0{k % 2 + 1}" for k, number in enumerate(patient // 2)
    ]
    return frame


def test_by_site_no_site_is_tested_that_was_trained_on(tmp_path: Path) -> None:
    data = _manifest(tmp_path, _sites(tmp_path), site="clinic", rule=Rule("site"))
    records = data.records()
    tested = set(records.loc[records["part"] == "test", "site"])
    assert tested
    assert not tested & set(records.loc[records["part"] != "test", "site"])
    named = _manifest(
        tmp_path, _sites(tmp_path), "named", site="clinic", rule=Rule("site", ("s2", "s5"))
    ).records()
    assert set(named.loc[named["part"] == "test", "site"]) == {"s2", "s5"}
    with pytest.raises(InputError, match="test_sites names 's9'"):
        _manifest(tmp_path, _sites(tmp_path), site="clinic", rule=Rule("site", ("s9",)))


@pytest.mark.parametrize("first", ["2018-01-01", None])
def test_by_time_what_is_tested_came_later(tmp_path: Path, first: str | None) -> None:
    rule = Rule("time", test_from=first)
    records = _manifest(tmp_path, _sites(tmp_path), time="taken", rule=rule).records()
    tested = records["part"] == "test"
    assert 0.15 < tested.mean() < 0.35
    assert records.loc[tested, "time"].min() > records.loc[~tested, "time"].max()


def test_a_patient_who_came_back_later_is_tested_and_never_trained_on(tmp_path: Path) -> None:
    frame = _sites(tmp_path)
    frame.loc[0, "taken"] = "2022-01-01"  # patient 0 has another image from 2010
    rule = Rule("time", test_from="2018-01-01")
    data = _manifest(tmp_path, frame, time="taken", rule=rule)
    parts = data.records().set_index("id")["part"]
    assert parts["images/0-0.png"] == "test"
    assert parts["images/0-1.png"] == EXCLUDED
    assert any("1 images were left out" in note for note in data.dataset.notes)


def test_a_time_that_is_no_date_names_its_row(tmp_path: Path) -> None:
    frame = _sites(tmp_path)
    frame.loc[4, "taken"] = "spring"
    with pytest.raises(InputError, match="row 6: column 'taken' holds no ISO date"):
        _manifest(tmp_path, frame, time="taken", rule=Rule("time"))


def test_copies_across_a_given_split_are_listed_and_treated_as_asked(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame["split"] = np.where(np.arange(len(frame)) < 80, "train", "test")
    copied = Image.fromarray(picture(0, 10 * 40)).resize((80, 80), Image.Resampling.BICUBIC)
    copied.save(tmp_path / frame["path"].iloc[0])  # patient 40 is tested
    save(tmp_path / frame["path"].iloc[1], picture(1, 10 * 41))
    sets = {
        each: _manifest(tmp_path, frame, each, split="split", rule=Rule(copies=each))
        for each in ("remove", "report")
    }
    left = sets["remove"].records()["part"]
    assert left.iloc[1] == EXCLUDED
    assert (sets["report"].records()["part"] != EXCLUDED).all()
    for each in sets.values():
        listed = each.copies()
        both = listed.groupby("picture")["part"].nunique()
        assert (both > 1).any()
        assert "exact" in set(listed["copy"])
        assert frame["path"].iloc[1] in set(listed["file"])
    assert any("were left" in note and "flatters" in note for note in sets["report"].dataset.notes)
    with pytest.raises(InputError, match="have a copy further held out"):
        _manifest(tmp_path, frame, "refuse", split="split", rule=Rule(copies="refuse"))


# ------------------------------------------------------------------------- a second test set


def test_an_external_set_is_tested_whole_but_for_what_the_target_holds(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=70)
    own = frame[frame["patient_id"].str[1:].astype(int) < 60]
    target = _manifest(tmp_path, own)
    elsewhere = frame[frame["patient_id"].str[1:].astype(int) >= 55]
    test = external(_manifest(tmp_path, elsewhere, "test", whole=True), target)
    records = test.records()
    assert set(records.loc[records["part"] == "test", "patient"]) == {
        f"p{k}" for k in range(60, 70)
    }
    assert (records["part"] == EXCLUDED).sum() == 10
    assert test.classes == target.classes
    assert any("10 external images were left out" in note for note in test.dataset.notes)


def test_an_external_set_has_the_targets_class_numbers(tmp_path: Path) -> None:
    target = _prepare(tmp_path, kind="folder", path=write_folder(tmp_path / "in", 40, 3))
    for label, name in ((2, "c2"), (0, "c0")):
        for number in range(10):
            save(
                tmp_path / "out" / name / f"{number}.png",
                picture(label, 7000 + 50 * label + number),
            )
    test = external(
        _prepare(tmp_path, "o", kind="folder", path=tmp_path / "out", whole=True), target
    )
    assert np.bincount(test.labels()).tolist() == [10, 0, 10]
    (tmp_path / "out" / "c0").rename(tmp_path / "out" / "other")
    with pytest.raises(InputError, match=r"labels c2, other, expected those .* c0, c1, c2"):
        external(_prepare(tmp_path, "p", kind="folder", path=tmp_path / "out", whole=True), target)


# ------------------------------------------------------------------------- set aside, or refused


def _gif(path: Path) -> None:
    frames = [Image.fromarray(picture(0, k)) for k in range(3)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def _apng(path: Path) -> None:
    frames = [Image.fromarray(picture(0, k)) for k in range(3)]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def _cut(path: Path) -> None:
    save(path, picture(0, 0))
    path.write_bytes(path.read_bytes()[:300])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.png": (lambda path: path.write_bytes(b""), "empty file"),
    "cut.png": (_cut, "truncated or damaged"),
    "text.jpg": (lambda path: path.write_text("no image"), "not a PNG, JPEG, DICOM or NIfTI image"),
    "film.gif": (_gif, "an image in a format that is not read; expected PNG, JPEG, DICOM or NIfTI"),
    "film.png": (_apng, "animated"),
    "dot.png": (
        lambda path: save(path, np.zeros((1, 1), np.uint8)),
        "smaller than 8 pixels a side",
    ),
    "bomb.png": (lambda path: Image.new("1", (20_000, 20_000)).save(path), "too many pixels"),
    "plan.dcm": (
        lambda path: save_dicom(path, picture(0, 0), PixelData=None),
        "DICOM file without pixel data",
    ),
    "deep.png": (
        lambda path: save(path, picture(0, 0).astype(np.uint16) * 16),
        "more than 8 bits, and neither the file nor the configuration states a window "
        "(data.window: [low, high], or own)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_few_bad_files_are_listed_with_their_reasons_and_many_refused(
    tmp_path: Path, name: str
) -> None:
    make, reason = BAD[name]
    root = write_folder(tmp_path / "in", each=40)
    make(root / "c0" / name)
    data = _prepare(tmp_path, kind="folder", path=root)
    assert data.set_aside() == [(str(root / "c0" / name), reason)]
    assert len(data.images()) == 80
    with pytest.raises(InputError, match=r"1 of 81 images .* cannot be used, more than max_unread"):
        _prepare(tmp_path, "strict", kind="folder", path=root, max_unreadable=0.01)


def test_readable_oddities_are_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    Image.fromarray(picture(0, 5)).convert("CMYK").save(root / "c0" / "cmyk.jpg")
    Image.fromarray(picture(0, 6)).convert("RGBA").save(root / "c0" / "alpha.png")
    (root / "c0" / "notes.txt").write_text("no image")
    (root / "c1" / ".DS_Store").write_text("hidden")
    data = _prepare(tmp_path, kind="folder", path=root)
    assert len(data.records()) == 82
    assert not data.set_aside()
    assert any(
        "1 file(s) that are no images were passed over: 1 .txt" in n for n in data.dataset.notes
    )


def test_labels_outside_the_classes_and_missing_files_are_set_aside(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame.loc[2, "label"], frame.loc[5, "path"] = "unsure", "images/none.png"
    data = _manifest(tmp_path, frame, classes=("well", "sick"))
    assert data.classes == ("well", "sick")
    reasons = {Path(file).name: reason for file, reason in data.set_aside()}
    assert reasons == {
        Path(frame["path"].iloc[2]).name: "its label is not among data.classes",
        "none.png": "no such file",
    }
    with pytest.raises(InputError, match=r"2 of 120 images \(1.7%\) cannot be used"):
        _manifest(tmp_path, frame, "strict", classes=("well", "sick"), max_unreadable=0.01)


def test_a_class_with_one_example_is_refused_by_name(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame.loc[2, "label"] = "rare"
    with pytest.raises(InputError, match=r"no image of class 'rare' is in the .*1 image\(s\)"):
        _manifest(tmp_path, frame)


def test_pixels_are_the_same_however_many_files_are_set_aside(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    before = _prepare(tmp_path, kind="folder", path=root)
    (root / "c0" / "000a.png").write_bytes(b"")
    after = _prepare(tmp_path, "again", kind="folder", path=root)
    prints = [hashlib.sha256(each.images().tobytes()).hexdigest() for each in (before, after)]
    assert prints[0] == prints[1]
