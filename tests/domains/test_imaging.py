"""Sets of images: what is read, how it is split, and what is refused in one line."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from domains.errors import InputError
from domains.healthcare.images.overlap import without_target
from domains.healthcare.images.split import EXCLUDED, PARTS
from tests.domains.sample_images import (
    picture,
    save,
    write_folder,
    write_manifest,
    write_medmnist,
)
from tests.domains.sample_sets import image_set, manifest_set


def test_a_folder_a_class_becomes_arrays(tmp_path: Path) -> None:
    data = image_set(tmp_path, kind="folder", path=write_folder(tmp_path / "in", each=40))
    assert data.images().shape == (80, 32, 32, 3)
    assert data.classes == ("c0", "c1")
    assert np.bincount(data.labels()).tolist() == [40, 40]
    assert sum(counts["records"] for counts in data.split_counts().values()) == 80
    assert any("No patient ids" in note for note in data.dataset.notes)


def test_no_patient_stands_on_two_sides(tmp_path: Path) -> None:
    records = manifest_set(tmp_path, write_manifest(tmp_path, each=3)).records()
    assert (records.groupby("patient")["part"].nunique() == 1).all()
    assert set(records["part"]) == set(PARTS)


def test_the_split_does_not_depend_on_the_order_or_the_other_records(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    whole = manifest_set(tmp_path, frame).records().set_index("id")["part"]
    fewer = frame.iloc[::-1].iloc[:100]
    part = manifest_set(tmp_path, fewer, name="fewer").records().set_index("id")["part"]
    assert (part == whole[part.index]).all()


def test_copies_share_a_side_and_are_reported(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    for index in range(10):
        save(root / "c0" / f"copy{index}.png", picture(0, index))
    data = image_set(tmp_path, kind="folder", path=root)
    records = data.records().set_index("id")
    for index in range(10):
        copy, original = records.loc[f"c0/copy{index}.png"], records.loc[f"c0/{index:03}.png"]
        assert copy["group"] == original["group"]
        assert copy["part"] == original["part"]
    assert any("10 exactly" in note for note in data.dataset.notes)


def test_copies_across_a_given_split_leave_training(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame["split"] = np.where(np.arange(len(frame)) < 80, "train", "test")
    save(tmp_path / frame["path"].iloc[0], picture(0, 10 * 40))  # patient 40 is a test patient
    data = manifest_set(tmp_path, frame, split="split")
    records = data.records()
    assert records["part"].iloc[0] == EXCLUDED
    assert (records["part"] == "test").sum() == 40
    assert any("1 from train" in note for note in data.dataset.notes)


def test_calibration_is_cut_out_of_a_given_split_and_the_test_is_kept(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    patient = frame["patient_id"].str[1:].astype(int)
    frame["split"] = np.select([patient < 30, patient < 45], ["train", "val"], "test")
    data = manifest_set(tmp_path, frame, split="split")
    parts = data.records().set_index("id")["part"]
    given = frame.set_index("path")["split"]
    assert (parts[given == "test"] == "test").all()
    assert (parts[given == "train"] == "train").all()
    assert set(parts[given == "val"]) == {"validation", "calibration"}


def test_medmnist_keeps_its_parts(tmp_path: Path) -> None:
    data = image_set(tmp_path, kind="medmnist", path=write_medmnist(tmp_path / "a.npz"))
    counts = data.split_counts()
    assert data.classes == ("0", "1", "2")
    assert counts["train"]["records"] == 80
    assert counts["test"]["records"] == 40
    assert counts["validation"]["records"] + counts["calibration"]["records"] == 30


def test_a_limit_takes_whole_groups_and_moves_nobody(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    whole = manifest_set(tmp_path, frame).records().set_index("id")["part"]
    few = manifest_set(tmp_path, frame, name="few", limit=70)
    part = few.records().set_index("id")["part"]
    assert 70 <= len(part) <= 72
    assert len(few.images()) == len(part)
    assert (part == whole[part.index]).all()


def test_a_few_unreadable_images_are_set_aside_and_listed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    (root / "c0" / "000.png").write_bytes(b"")
    (root / "c1" / "000.png").write_bytes(b"no image")
    data = image_set(tmp_path, kind="folder", path=root)
    assert len(data.images()) == data.dataset.rows == 78
    listed = [(Path(file).parent.name, reason) for file, reason in data.set_aside()]
    assert listed == [("c0", "empty file"), ("c1", "not a PNG, JPEG, DICOM or NIfTI image")]
    row = data.records().index[data.records()["id"] == "c1/001.png"][0]
    alone = image_set(tmp_path, "alone", kind="folder", path=write_folder(tmp_path / "b", each=40))
    other = alone.records().index[alone.records()["id"] == "c1/001.png"][0]
    assert (data.images()[row] == alone.images()[other]).all()


def test_many_unreadable_images_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=20)
    for index in range(4):
        (root / "c0" / f"{index:03}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"4 of 40 images \(10.0%\).*max_unreadable \(5.0%\).*000"):
        image_set(tmp_path, kind="folder", path=root)


def test_target_images_leave_the_source_set(tmp_path: Path) -> None:
    source = write_folder(tmp_path / "source", each=80)
    target = write_folder(tmp_path / "target", each=80)
    for path in target.rglob("0[3-6]*.png"):  # forty of each class differ
        save(path, picture(int(path.parent.name[1]), 5000 + int(path.stem)))
    sets = [
        image_set(tmp_path, n, kind="folder", path=p) for n, p in (("s", source), ("t", target))
    ]
    left = without_target(*sets)
    assert (left.records()["part"] == EXCLUDED).sum() == 80
    assert any("80 source images" in note for note in left.dataset.notes)
    assert len(left.used()) == 80
    assert not left.names_patients()


def test_target_patients_leave_the_source_set_with_all_their_images(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=140, each=3)
    patient = frame["patient_id"].str[1:].astype(int)
    one = (patient < 90) & (frame.index % 3 != 2)  # other pictures of patients 50 to 89
    sets = [
        manifest_set(tmp_path, frame[rows], name=name)
        for name, rows in (("source", one), ("target", (patient >= 50) & (frame.index % 3 == 2)))
    ]
    assert all(each.names_patients() for each in sets)
    left = without_target(*sets)
    assert set(left.used()["patient"]) == {f"p{k}" for k in range(50)}
    assert any("80 show patients whom the target names" in note for note in left.dataset.notes)


def test_a_source_set_of_target_patients_alone_is_refused(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, each=3)
    sets = [
        manifest_set(tmp_path, frame[rows], name=name)
        for name, rows in (("source", frame.index % 3 != 2), ("target", frame.index % 3 == 2))
    ]
    with pytest.raises(InputError, match="0 source images are left for training"):
        without_target(*sets)


def test_a_copied_or_renamed_file_moves_no_image(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    before = image_set(tmp_path, kind="folder", path=root).records().set_index("id")["part"]
    for index in range(10):
        save(root / "c0" / f"A-copy{index}.png", picture(0, index))
        file = root / "c1" / f"{index:03}.png"
        file.rename(file.with_name(f"other-{index:03}.png"))
    data = image_set(tmp_path, "again", kind="folder", path=root)
    after = data.records().set_index("id")["part"]
    for name, part in before.items():
        moved = str(name).replace("c1/00", "c1/other-00")
        assert after[moved] == part
    assert len(data.moving(given=False)) == 20


def test_private_data_have_a_keyed_digest(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    open_, keyed = (
        image_set(tmp_path, str(key), kind="folder", path=root, digest_key=key)
        for key in (None, b"k" * 32)
    )
    assert open_.dataset.digest.startswith("sha256:")
    assert keyed.dataset.digest.startswith("hmac-sha256:")


# ------------------------------------------------------------------------------- refused


def test_folders_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        image_set(tmp_path, kind="folder", path=tmp_path / "none")
    root = write_folder(tmp_path / "in", classes=1)
    with pytest.raises(InputError, match=r"at least two of them, found one \(c0\)"):
        image_set(tmp_path, kind="folder", path=root)
    (root / "c1").mkdir()
    with pytest.raises(InputError, match="class 'c1' holds no PNG"):
        image_set(tmp_path, kind="folder", path=root)
    save(root / "c1" / "only.png", picture(1, 0))
    with pytest.raises(InputError, match="no image of class 'c1' is in the"):
        image_set(tmp_path, kind="folder", path=root)


def test_manifests_that_cannot_be_used_name_row_and_column(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    with pytest.raises(InputError, match=r"no column 'diagnosis' \(data.label\)"):
        manifest_set(tmp_path, frame, labels=("diagnosis",))
    with pytest.raises(InputError, match="row 4: column 'label' is empty"):
        manifest_set(tmp_path, frame.assign(label=frame["label"].where(frame.index != 2, "")))
    with pytest.raises(InputError, match="every label is 'x'"):
        manifest_set(tmp_path, frame.assign(label="x"))
    with pytest.raises(InputError, match="row 3: column 'path' names an image that stands above"):
        manifest_set(tmp_path, frame.iloc[[0, 0, *range(2, 9)]])
    with pytest.raises(InputError, match="row 2: column 'split' says 'later', expected"):
        manifest_set(tmp_path, frame.assign(split="later"), split="split")
    (tmp_path / "manifest.csv").write_text("")
    with pytest.raises(InputError, match="empty, expected a header"):
        image_set(tmp_path, kind="manifest", path=tmp_path / "manifest.csv")


def test_blanks_around_a_cell_make_no_other_patient_and_no_other_class(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    blank = frame.copy()
    blank.loc[::2, ["path", "label", "patient_id"]] += " "
    plain = manifest_set(tmp_path, frame).records()
    found = manifest_set(tmp_path, blank, "blank").records()
    assert found[["id", "label", "patient", "part"]].equals(
        plain[["id", "label", "patient", "part"]]
    )


def test_torn_rows_of_a_manifest_are_refused(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    lines = frame.to_csv(index=False).splitlines()
    for changed, said in (
        ([lines[0], *(f"{line},x" for line in lines[1:])], "row 2: 4 cells, and the header has 3"),
        ([*lines[:5], lines[5].partition(",")[0], *lines[6:]], "row 6: column 'label' is empty"),
    ):
        (tmp_path / "torn.csv").write_text("\n".join(changed))
        with pytest.raises(InputError, match=said):
            image_set(tmp_path, kind="manifest", path=tmp_path / "torn.csv")


def test_a_name_that_no_file_can_have_is_set_aside(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame.loc[0, "path"], frame.loc[1, "path"] = "x" * 5000, "images/a\0.png"
    assert len(manifest_set(tmp_path, frame).set_aside()) == 2


def test_a_patient_on_both_sides_of_a_given_split_is_refused(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame["split"] = np.where(np.arange(len(frame)) % 2 == 0, "train", "test")
    with pytest.raises(InputError, match=r"60 patient\(s\) stand on more than one side"):
        manifest_set(tmp_path, frame, split="split")


def test_damaged_medmnist_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match="no such file"):
        image_set(tmp_path, kind="medmnist", path=path)
    write_medmnist(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        image_set(tmp_path, kind="medmnist", path=path)
    np.savez(path, train_images=np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(InputError, match="train_labels is not in the file"):
        image_set(tmp_path, kind="medmnist", path=path)
    np.savez(path, train_images=np.array([{}, {}]), train_labels=np.zeros(2))
    with pytest.raises(InputError, match="pickle"):
        image_set(tmp_path, kind="medmnist", path=path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match="damaged"):
        image_set(tmp_path, kind="medmnist", path=path)
    np.savez(path, train_images=np.zeros((2, 28, 28), np.uint8), train_labels=np.array(1))
    with pytest.raises(InputError, match="2 images and 1 labels"):
        image_set(tmp_path, kind="medmnist", path=path)
    np.savez(path, train_images=np.zeros((0, 28, 28), np.uint8), train_labels=np.zeros(0, int))
    with pytest.raises(InputError, match="train_images is empty"):
        image_set(tmp_path, kind="medmnist", path=path)


def test_a_medmnist_file_damaged_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    """A few bytes changed, at places drawn once, below the lengths that zip checks."""
    path, draws = write_medmnist(tmp_path / "a.npz"), np.random.default_rng(0)
    with np.load(path) as arrays:
        np.savez_compressed(path, allow_pickle=False, **dict(arrays))
    whole = path.read_bytes()
    for _ in range(40):
        changed = bytearray(whole)
        for place in draws.integers(0, len(whole), 3):
            changed[place] = draws.integers(256)
        path.write_bytes(changed)
        with contextlib.suppress(InputError):
            image_set(tmp_path, kind="medmnist", path=path)
