"""Manifests as other programs write them, and what is wrong with one, by file, row and column."""

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.images import draft, duplicates
from domains.healthcare.images.manifest import Columns
from domains.healthcare.images.pixels import Reading, Slices
from domains.healthcare.images.set import ImageSet
from domains.healthcare.images.split import EXCLUDED, Rule
from tests.domains.sample_images import picture, save, save_series, write_folder, write_manifest
from tests.domains.sample_sets import image_set, manifest_set


def _read(tmp_path: Path, content: bytes, name: str = "m.csv", **request: Any) -> ImageSet:
    (tmp_path / name).write_bytes(content)
    return image_set(tmp_path, kind="manifest", path=tmp_path / name, **request)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["bare", "marked"])
def test_ends_of_lines_and_a_byte_order_mark_change_nothing(
    tmp_path: Path, end: str, mark: str
) -> None:
    text = write_manifest(tmp_path).to_csv(index=False)
    plain = _read(tmp_path, text.encode()).records()
    other = _read(tmp_path, (mark + text.replace("\n", end)).encode()).records()
    assert other.equals(plain)


def test_a_packed_manifest_is_read(tmp_path: Path) -> None:
    text = write_manifest(tmp_path).to_csv(index=False).encode()
    assert len(_read(tmp_path, gzip.compress(text), "m.csv.gz").records()) == 120


def test_names_of_any_script_and_endings_in_capitals_are_read(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    for row, name in enumerate(("Ünïcødé 病理.PNG", "a, b.Png", "with space .png")):
        save(tmp_path / name, picture(row % 2, 7000 + row))
        frame.loc[row, "path"] = name
    frame.loc[3, "path"] = str(tmp_path / str(frame.loc[3, "path"]))
    data = manifest_set(tmp_path, frame)
    assert len(data.records()) == 120
    assert not data.set_aside()


def test_rows_are_counted_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    lines = write_manifest(tmp_path).to_csv(index=False).splitlines()
    changed = [*lines[:3], "", ",,", *lines[3:5], lines[5].replace("well", "").replace("sick", "")]
    with pytest.raises(InputError, match=r"m.csv, row 8: column 'label' is empty; fill it"):
        _read(tmp_path, "\n".join(changed).encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"path;label\na.png;x\n", "there are: path;label; expected commas"),
        (b"a.png,0,p1\nb.png,1,p2\n", "3 columns, and its first line does not look like a header"),
        ("path,label\nä.png,x\n".encode("latin-1"), "not a CSV file in UTF-8; save it as"),
        ("path,label\na.png,x\n".encode("utf-16"), "not a CSV file in UTF-8"),
        (b"path,label\na,b.png,x\n", "row 2: 3 cells, and the header has 2 names"),
        (b"path,label\n\n\n", "no rows below the header"),
        (b"\n\n", "empty, expected a header"),
        (b"\x1f\x8b\x08junk", "not a CSV file in UTF-8"),
    ],
)
def test_what_is_no_manifest_says_why(tmp_path: Path, content: bytes, said: str) -> None:
    for name in ("m.csv", "m.zip", "m.xz"):  # no ending makes an archive of it
        with pytest.raises(InputError, match=said) as refused:
            _read(tmp_path, content, name)
        assert "\n" not in str(refused.value)
        assert "p1" not in str(refused.value)


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder, expected a manifest"):
        image_set(tmp_path, kind="manifest", path=tmp_path)


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("Yes", "yes"), ("2", "2.")])
def test_a_class_spelled_in_two_ways_is_refused_unless_both_are_declared(
    tmp_path: Path, one: str, other: str
) -> None:
    frame = write_manifest(tmp_path)
    frame["label"] = np.where(frame["label"] == "sick", one, "none")
    sick = frame.index[frame["label"] == one]
    frame.loc[sick[1::2], "label"] = other
    with pytest.raises(InputError, match=rf"row 5: column 'label' spells a class '{other}', and"):
        manifest_set(tmp_path, frame)
    assert manifest_set(tmp_path, frame, classes=("none", one, other)).classes[1:] == (one, other)


def _given(tmp_path: Path) -> pd.DataFrame:
    frame = write_manifest(tmp_path)
    number = frame["patient_id"].str[1:].astype(int)
    frame["split"] = np.where(number < 40, "train", np.where(number < 50, "val", "test"))
    return frame


def test_few_images_of_patients_on_two_sides_are_set_aside_and_many_refused(tmp_path: Path) -> None:
    frame = _given(tmp_path)
    last = len(frame) - 1
    frame.loc[last, "patient_id"] = "p0"  # two training images of p0, one test image
    data = manifest_set(tmp_path, frame, split="split", max_unreadable=0.05)
    records = data.records().set_index("id")
    assert records.loc[["images/0-0.png", "images/0-1.png"], "part"].eq(EXCLUDED).all()
    assert records.loc[str(frame.loc[last, "path"]), "part"] == "test"
    reason = "its patient is on a further held-out side of the given split"
    assert data.set_aside() == [("images/0-0.png", reason), ("images/0-1.png", reason)]
    assert any(f"2 {reason}" in note for note in data.dataset.notes)
    with pytest.raises(
        InputError,
        match=r"1 patient\(s\) stand on more than one side .* 2 of 120 images \(1.7%\) .* "
        r"the first is images/0-0.png \(its patient is in test and train\); put every image",
    ):
        manifest_set(tmp_path, frame, "strict", split="split", max_unreadable=0.01)


def test_bad_files_and_torn_patients_are_in_one_list(tmp_path: Path) -> None:
    frame = _given(tmp_path)
    frame.loc[1, "path"], frame.loc[len(frame) - 1, "patient_id"] = "images/none.png", "p0"
    found = dict(manifest_set(tmp_path, frame, split="split").set_aside())
    assert found[str(tmp_path / "images" / "none.png")] == "no such file"
    assert found["images/0-0.png"].startswith("its patient is on a further")


@pytest.mark.parametrize(
    "held_out",
    [
        {},
        {"split": "split"},
        {"site": "where", "rule": Rule("site")},
        {"time": "when", "rule": Rule("time")},
    ],
    ids=["patient", "given", "site", "time"],
)
def test_where_no_image_is_left_the_data_are_refused_whatever_the_limit(
    tmp_path: Path, held_out: dict[str, Any]
) -> None:
    frame = _given(tmp_path).assign(where="here", when="2024-01-01")
    frame["path"] += ".gone"
    with pytest.raises(InputError, match=r"120 of 120 images .* none is left: 120 no such file"):
        manifest_set(tmp_path, frame, max_unreadable=1.0, **held_out)


@pytest.mark.parametrize("name", ["site", "patient", "time", "label"])
def test_a_column_to_slice_by_never_stands_in_for_another_of_its_name(
    tmp_path: Path, name: str
) -> None:
    frame = write_manifest(tmp_path).assign(hospital="north", taken="2024-01-01", kind="well")
    frame.loc[::3, ["hospital", "kind"]] = ["south", "sick"]
    named: dict[str, Any] = {
        "site": "hospital",
        "patient": "patient_id",
        "time": "taken",
        "labels": ("kind",),
    }
    with pytest.raises(InputError, match=rf"column '{name}' \(slices\) has a name that images'"):
        manifest_set(tmp_path, frame.assign(**{name: "arm"}), **named, more=(name,))
    found = manifest_set(tmp_path, frame, **named, more=("hospital", "taken")).records()
    assert (found["hospital"] == found["site"]).all()


@pytest.mark.parametrize("volumes", [False, True])
def test_what_is_neither_file_nor_folder_is_set_aside_unread(tmp_path: Path, volumes: bool) -> None:
    frame = write_manifest(tmp_path)
    for row, name in enumerate(("pipe.png", "pipe", "pipe.dcm", "pipe.nii")):
        os.mkfifo(tmp_path / name)  # whoever opens one waits for ever
        frame.loc[row, "path"] = name
    frame.loc[4, "path"] = "/dev/zero"
    reading = Reading(slices=Slices()) if volumes else Reading()
    data = manifest_set(tmp_path, frame, reading=reading, max_unreadable=0.1)
    assert [reason for _, reason in data.set_aside()] == ["neither a file nor a folder"] * 5


def test_a_name_with_a_null_character_is_set_aside(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame.loc[0, "path"] = "images/no\0ending"
    assert len(manifest_set(tmp_path, frame).set_aside()) == 1


def test_a_bad_slice_of_a_series_is_named(tmp_path: Path) -> None:
    rows = []
    for number in range(30):
        volume = np.stack([picture(number % 2, 10 * number + k).astype(np.uint16) for k in (0, 1)])
        save_series(tmp_path / f"s{number}", volume)
        rows.append({"path": f"s{number}", "label": number % 2, "patient_id": f"p{number}"})
    (tmp_path / "s0" / "IM0001").write_bytes(b"")
    whole = (tmp_path / "s1" / "IM0000").read_bytes()
    (tmp_path / "s1" / "IM0000").write_bytes(whole[:-900])
    (tmp_path / "s0" / "IM0001").rename(tmp_path / "s0" / "IM0001.dcm")
    reading = Reading((0.0, 255.0), Slices())
    data = manifest_set(tmp_path, pd.DataFrame(rows), reading=reading, max_unreadable=0.1)
    assert data.set_aside() == [
        (f"{tmp_path / 's0'} (IM0001.dcm)", "empty file"),
        (f"{tmp_path / 's1'} (IM0000)", "truncated or damaged DICOM file"),
    ]


def test_the_digest_is_of_every_slice(tmp_path: Path) -> None:
    rows, digests = [], []
    for number in range(30):
        volume = np.stack([picture(number % 2, 10 * number + k).astype(np.uint16) for k in (0, 1)])
        save_series(tmp_path / f"s{number}", volume)
        rows.append({"path": f"s{number}", "label": number % 2, "patient_id": f"p{number}"})
    for name in ("first", "second"):
        reading = Reading((0.0, 255.0), Slices())
        data = manifest_set(tmp_path, pd.DataFrame(rows), name, reading=reading)
        digests.append(data.dataset.digest)
        save_series(
            tmp_path / "s3", np.stack([picture(1, 900 + k).astype(np.uint16) for k in (0, 1)])
        )
    assert digests[0] != digests[1]


@pytest.mark.parametrize("gone", [False, True])
def test_files_that_change_while_they_are_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    root, real = write_folder(tmp_path / "in"), duplicates.exact_hash
    last = root / "c1" / "059.png"

    def meanwhile(pixels: np.ndarray) -> str:
        if gone:
            last.unlink(missing_ok=True)
        else:
            last.write_bytes(last.read_bytes() + b"more")
        return real(pixels)

    monkeypatch.setattr(draft, "exact_hash", meanwhile)
    with pytest.raises(InputError, match=r"059.png: 1 of 120 files changed while they were read"):
        image_set(tmp_path, kind="folder", path=root)


def test_files_without_permission_are_set_aside_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another user than root meets them: opening fails, and the mode says so."""
    frame, real = write_manifest(tmp_path), open
    shut = [tmp_path / name for name in ("images/0-0.png", "images/0-1.png")]

    def opened(file: Any, *args: Any, **keys: Any) -> Any:
        if Path(str(file)) in shut:
            raise PermissionError(13, "Permission denied")
        return real(file, *args, **keys)

    allowed = os.access
    monkeypatch.setattr("builtins.open", opened)
    monkeypatch.setattr(os, "access", lambda p, m: Path(p) not in shut and allowed(p, m))
    data = manifest_set(tmp_path, frame)
    assert [reason for _, reason in data.set_aside()] == ["no permission to read it"] * 2


def test_hidden_images_are_passed_over_and_counted(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    save(root / "c0" / ".ipynb_checkpoints" / "x.png", picture(0, 1))
    (root / "c1" / "._001.png").write_bytes(b"resource fork")
    (root / "c1" / ".DS_Store").write_bytes(b"")
    notes = image_set(tmp_path, kind="folder", path=root).dataset.notes
    assert any("2 hidden image(s)" in note for note in notes)


def test_declared_classes_order_the_folders_and_must_be_all_of_them(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in")
    data = image_set(tmp_path, kind="folder", path=root, columns=Columns(classes=("c1", "c0")))
    assert data.classes == ("c1", "c0")
    records = data.records()
    assert (records["label"] == (records["id"].str[:2] == "c0")).all()
    with pytest.raises(InputError, match=r"lists c1, c2, and the folders are c0, c1; expected"):
        image_set(tmp_path, kind="folder", path=root, columns=Columns(classes=("c1", "c2")))


@pytest.mark.parametrize("name", ["group", "size_mm", "is_old"])
def test_columns_to_slice_by_take_no_name_of_the_records_own(tmp_path: Path, name: str) -> None:
    frame = write_manifest(tmp_path).assign(**{name: "some"})
    with pytest.raises(InputError, match=rf"column '{name}' \(slices\) has a name .* rename it"):
        manifest_set(tmp_path, frame, more=(name,))
