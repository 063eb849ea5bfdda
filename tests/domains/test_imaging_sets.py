"""Sets of files as they come: volumes, several labels, and what is set aside."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from domains.errors import InputError
from domains.healthcare.images.folder import read_folder
from domains.healthcare.images.intake import Intake
from domains.healthcare.images.pixels import Reading, Slices
from tests.domains.sample_images import (
    picture,
    save,
    save_dicom,
    save_nifti,
    save_series,
    write_folder,
    write_manifest,
    write_medmnist,
)
from tests.domains.sample_sets import image_set, manifest_set


def _film(label: int, seed: int) -> np.ndarray:
    """int16 (9, 40, 40): a made-up volume of one class."""
    return np.stack([picture(label, 100 * seed + k) for k in range(9)]).astype(np.int16) * 4


# ------------------------------------------------------------------------- DICOM and volumes


def test_dicom_files_in_folders_are_split_by_the_patient_they_name(tmp_path: Path) -> None:
    for label in range(2):
        for number in range(60):
            file = tmp_path / "in" / f"c{label}" / f"IM{number}"
            save_dicom(file, picture(label, 1000 * label + number), PatientID=f"P{number % 20}")
    data = image_set(tmp_path, kind="folder", path=tmp_path / "in")
    records = data.records()
    assert len(records) == 120
    assert data.names_patients()
    assert records["patient"].nunique() == 20
    assert (records.groupby("patient")["part"].nunique() == 1).all()
    assert not records["patient"].str.startswith("P").any()
    assert not any("No patient ids" in note for note in data.dataset.notes)


def test_files_that_name_no_patient_among_those_that_do_are_counted(tmp_path: Path) -> None:
    for label in range(2):
        for number in range(60):
            who = {"PatientID": f"P{number % 20}"} if number >= 3 else {}
            file = tmp_path / "in" / f"c{label}" / f"IM{number}"
            save_dicom(file, picture(label, 1000 * label + number), **who)
    data = image_set(tmp_path, kind="folder", path=tmp_path / "in")
    assert any("6 image(s) name no patient" in note for note in data.dataset.notes)


def test_every_series_below_a_class_is_a_volume(tmp_path: Path) -> None:
    for label in range(2):
        for number in range(25):
            save_series(tmp_path / "in" / f"c{label}" / f"{number}", _film(label, number))
    reading = Reading((0.0, 1020.0), Slices(every=4))
    data = image_set(tmp_path, kind="folder", path=tmp_path / "in", reading=reading)
    records = data.records()
    assert len(records) == 2 * 25 * 3
    assert sorted({name.rpartition("#")[2] for name in records["id"]}) == ["0", "4", "8"]
    volume = records["id"].str.rpartition("#")[0]
    assert (records.groupby(volume)["part"].nunique() == 1).all()
    assert not data.names_patients()
    assert any("the slices of one stay together" in note for note in data.dataset.notes)


def test_a_series_beside_another_folder_is_one_volume(tmp_path: Path) -> None:
    for label in (0, 1):
        for number in range(2):
            series = save_series(tmp_path / "in" / f"c{label}" / f"{number}", _film(label, number))
            save_series(series / "IM0004 more", _film(label, 10 + number))  # between its files
    intake = Intake(tmp_path / "out", 32, Reading("own", Slices()), bytes(32))
    draft = read_folder(tmp_path / "in", intake)
    each = draft.records["id"].str.rpartition("#")[0].value_counts()
    assert each.to_dict() == {
        f"c{label}/{number}{below}/IM0000": 9
        for label in (0, 1)
        for number in range(2)
        for below in ("", "/IM0004 more")
    }


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
    data = manifest_set(tmp_path, pd.DataFrame(rows), slice="cut", reading=reading)
    records = data.records()
    assert records["id"].str.rpartition("#")[2].value_counts().to_dict() == {"2": 40, "5": 40}
    by_id = records.set_index("id")["label"]
    assert [by_id["3.nii.gz#2"], by_id["3.nii.gz#5"]] == [1, 0]
    whole = pd.DataFrame(rows).drop_duplicates("path")
    reading = Reading((0.0, 1020.0), Slices(every=3, stack=3))
    data = manifest_set(tmp_path, whole, "whole", reading=reading)
    assert len(data.records()) == 40 * 3
    assert (data.images()[..., 0] != data.images()[..., 2]).any()


def test_a_slice_named_in_two_spellings_is_named_twice(tmp_path: Path) -> None:
    rows = [{"path": "0.nii", "label": k, "cut": cut} for k, cut in enumerate(("4", "4.0"))]
    reading = Reading((0.0, 1020.0), Slices())
    with pytest.raises(InputError, match="row 3: column 'path' names an image that stands"):
        manifest_set(tmp_path, pd.DataFrame(rows), slice="cut", patient=None, reading=reading)


def test_a_slice_that_is_not_there_is_set_aside_alone(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        save_nifti(tmp_path / f"{number}.nii", _film(number % 2, number).transpose(2, 1, 0))
        rows.append({"path": f"{number}.nii", "label": number % 2, "cut": 4, "patient_id": number})
    rows.append({"path": "7.nii", "label": 1, "cut": 9, "patient_id": 7})
    reading = Reading((0.0, 1020.0), Slices())
    data = manifest_set(tmp_path, pd.DataFrame(rows), slice="cut", reading=reading)
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
    data = manifest_set(tmp_path, frame, labels=("edema", "mass", "nodule"))
    assert data.multilabel
    assert data.classes == ("edema", "mass", "nodule")
    labels = data.labels()
    assert labels.dtype == np.int8
    by_path = dict(zip(frame["path"], wanted.tolist(), strict=True))
    assert labels.tolist() == [by_path[name] for name in data.records()["id"]]
    frame.loc[3, "mass"] = "perhaps"
    with pytest.raises(InputError, match="row 5: column 'mass' is one of several labels"):
        manifest_set(tmp_path, frame, labels=("edema", "mass", "nodule"))


def test_a_label_nobody_has_is_refused(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path).assign(a="1", b="0")
    frame.loc[::2, "a"] = "0"
    with pytest.raises(InputError, match="no image with label 'b' is in the train part"):
        manifest_set(tmp_path, frame, labels=("a", "b"))


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
    data = image_set(tmp_path, kind="medmnist", path=tmp_path / "a.npz")
    assert data.multilabel == (width > 1)
    assert data.classes == tuple(str(k) for k in range(5 if width == 1 else 4))
    every = np.concatenate([arrays[f"{part}_labels"] for part in ("train", "val", "test")])
    assert (data.labels() == (every[:, 0] if width == 1 else every)).all()
    if width > 1:
        arrays["val_labels"][0, 0] = 3
        np.savez(tmp_path / "b.npz", allow_pickle=False, **arrays)
        with pytest.raises(InputError, match="4 labels an image, expected 0 or 1"):
            image_set(tmp_path, kind="medmnist", path=tmp_path / "b.npz")


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
    "brain.mgz": (
        lambda path: path.write_bytes(b"a volume of another kind"),
        "an image in a format that is not read; expected PNG, JPEG, DICOM or NIfTI",
    ),
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
    data = image_set(tmp_path, kind="folder", path=root)
    assert data.set_aside() == [(str(root / "c0" / name), reason)]
    assert len(data.images()) == 80
    with pytest.raises(InputError, match=r"1 of 81 images .* cannot be used, more than max_unread"):
        image_set(tmp_path, "strict", kind="folder", path=root, max_unreadable=0.01)


def test_readable_oddities_are_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    Image.fromarray(picture(0, 5)).convert("CMYK").save(root / "c0" / "cmyk.jpg")
    Image.fromarray(picture(0, 6)).convert("RGBA").save(root / "c0" / "alpha.png")
    (root / "c0" / "notes.txt").write_text("no image")
    (root / "c1" / ".DS_Store").write_text("hidden")
    data = image_set(tmp_path, kind="folder", path=root)
    assert len(data.records()) == 82
    assert not data.set_aside()
    assert any(
        "1 file(s) that are no images were passed over: 1 .txt" in n for n in data.dataset.notes
    )


def test_what_stands_in_a_folder_and_is_no_image_of_a_class_is_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    save(root / "lost.png", picture(0, 1))
    (root / "c1" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    save(tmp_path / "more" / "a.png", picture(0, 2))
    (root / "c0" / "more").symlink_to(tmp_path / "more")
    data = image_set(tmp_path, kind="folder", path=root)
    assert data.set_aside() == [(str(root / "c1" / "gone.png"), "no such file")]
    assert any("1 image(s) beside the folders of the classes" in n for n in data.dataset.notes)
    assert any("1 linked folder(s) below a class were not" in n for n in data.dataset.notes)


def test_labels_outside_the_classes_and_missing_files_are_set_aside(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame.loc[2, "label"], frame.loc[5, "path"] = "unsure", "images/none.png"
    data = manifest_set(tmp_path, frame, classes=("well", "sick"))
    assert data.classes == ("well", "sick")
    reasons = {Path(file).name: reason for file, reason in data.set_aside()}
    assert reasons == {
        Path(frame["path"].iloc[2]).name: "its label is not among data.classes",
        "none.png": "no such file",
    }
    with pytest.raises(InputError, match=r"2 of 120 images \(1.7%\) cannot be used"):
        manifest_set(tmp_path, frame, "strict", classes=("well", "sick"), max_unreadable=0.01)


def test_a_class_with_one_example_is_refused_by_name(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame.loc[2, "label"] = "rare"
    with pytest.raises(InputError, match=r"no image of class 'rare' is in the .*1 image\(s\)"):
        manifest_set(tmp_path, frame)


def test_a_column_that_stands_twice_is_refused_by_name(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    twice = pd.concat([frame, frame["label"].sample(frac=1.0, random_state=0)], axis=1)
    with pytest.raises(InputError, match="row 1: the header names column 'label' twice"):
        manifest_set(tmp_path, twice)


def test_pixels_are_the_same_however_many_files_are_set_aside(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    before = image_set(tmp_path, kind="folder", path=root)
    (root / "c0" / "000a.png").write_bytes(b"")
    after = image_set(tmp_path, "again", kind="folder", path=root)
    prints = [hashlib.sha256(each.images().tobytes()).hexdigest() for each in (before, after)]
    assert prints[0] == prints[1]


def test_medmnist_pixels_of_more_bits_go_through_the_window_that_is_stated(tmp_path: Path) -> None:
    path = write_medmnist(tmp_path / "a.npz")
    plain = image_set(tmp_path, "plain", kind="medmnist", path=path).images()
    with np.load(path) as found:
        arrays = {name: found[name] for name in found}
    deep = {name: a.astype(np.uint16) * 16 for name, a in arrays.items() if "images" in name}
    np.savez(path, allow_pickle=False, **(arrays | deep))
    with pytest.raises(InputError, match=r"image 0 of train_images: more than 8 bits, and neither"):
        image_set(tmp_path, "none", kind="medmnist", path=path)
    windowed = Reading((0.0, 255.0 * 16))
    data = image_set(tmp_path, "deep", kind="medmnist", path=path, reading=windowed)
    assert np.array_equal(data.images(), plain)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((80, 1, 1), np.uint8), "image 0 of train_images: smaller than 8 pixels"),
        (np.zeros((80, 28, 28), complex), "train_images are complex128, expected whole or real"),
        (np.full((80, 28, 28), "x"), "train_images are <U1, expected whole or real"),
        (np.full((80, 28, 28), np.nan), "image 0 of train_images: infinite or missing"),
    ],
    ids=["tiny", "complex", "text", "missing"],
)
def test_medmnist_arrays_that_are_no_images_are_refused_by_name(
    tmp_path: Path, images: np.ndarray, said: str
) -> None:
    path = write_medmnist(tmp_path / "a.npz")
    with np.load(path) as found:
        arrays = {name: found[name] for name in found} | {"train_images": images}
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(InputError, match=said):
        image_set(tmp_path, kind="medmnist", path=path, reading=Reading("own"))
