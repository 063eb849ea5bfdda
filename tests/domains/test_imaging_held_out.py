"""Who is held out: by site, by time, as a split that is given says, or a second set as a whole."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from domains.errors import InputError
from domains.healthcare.images.overlap import external
from domains.healthcare.images.split import EXCLUDED, Rule
from domains.splits import draw_sites, split_key
from tests.domains.sample_images import picture, save, save_dicom, write_folder, write_manifest
from tests.domains.sample_sets import image_set, manifest_set


def _sites(tmp_path: Path, sites: int = 6) -> pd.DataFrame:
    frame = write_manifest(tmp_path, patients=90)
    patient = frame["patient_id"].str[1:].astype(int)
    frame["clinic"] = [f"s{number % sites}" for number in patient // 2]
    frame["taken"] = [
        f"20{number % 10 + 10}-03-0{k % 2 + 1}" for k, number in enumerate(patient // 2)
    ]
    return frame


def test_by_site_no_site_is_tested_that_was_trained_on(tmp_path: Path) -> None:
    data = manifest_set(tmp_path, _sites(tmp_path), site="clinic", rule=Rule("site"))
    records = data.records()
    tested = set(records.loc[records["part"] == "test", "site"])
    assert tested
    assert not tested & set(records.loc[records["part"] != "test", "site"])
    named = manifest_set(
        tmp_path, _sites(tmp_path), "named", site="clinic", rule=Rule("site", ("s2", "s5"))
    ).records()
    assert set(named.loc[named["part"] == "test", "site"]) == {"s2", "s5"}
    with pytest.raises(InputError, match="test_sites names 's9'"):
        manifest_set(tmp_path, _sites(tmp_path), site="clinic", rule=Rule("site", ("s9",)))


def test_sites_are_drawn_on_both_sides_whatever_the_key(tmp_path: Path) -> None:
    frame = _sites(tmp_path, sites=2)
    sites = pd.Series(["a", "a", "b", "b", "b"])
    for seed in range(60):
        drawn = draw_sites(sites, 0.9, split_key(seed, None))
        assert drawn[:2].all() != drawn[2:].all()
    with pytest.raises(InputError, match="all images are of one site"):
        manifest_set(tmp_path, frame.assign(clinic="s"), site="clinic", rule=Rule("site"))


def test_patients_of_all_sites_leave_no_site_to_train_on_and_it_is_said(tmp_path: Path) -> None:
    frame = _sites(tmp_path).assign(clinic="s0")
    frame.loc[::2, "clinic"] = "s1"  # every patient has an image at either
    with pytest.raises(InputError, match=r"\d+ of them left out for a patient or copy held out"):
        manifest_set(tmp_path, frame, site="clinic", rule=Rule("site", ("s1",)))


@pytest.mark.parametrize("first", ["2018-01-01", None])
def test_by_time_what_is_tested_came_later(tmp_path: Path, first: str | None) -> None:
    rule = Rule("time", test_from=first)
    records = manifest_set(tmp_path, _sites(tmp_path), time="taken", rule=rule).records()
    tested = records["part"] == "test"
    assert 0.15 < tested.mean() < 0.35
    assert records.loc[tested, "time"].min() > records.loc[~tested, "time"].max()


def test_a_patient_who_came_back_later_is_tested_and_never_trained_on(tmp_path: Path) -> None:
    frame = _sites(tmp_path)
    frame.loc[0, "taken"] = "2022-01-01"  # patient 0 has another image from 2010
    rule = Rule("time", test_from="2018-01-01")
    data = manifest_set(tmp_path, frame, time="taken", rule=rule)
    parts = data.records().set_index("id")["part"]
    assert parts["images/0-0.png"] == "test"
    assert parts["images/0-1.png"] == EXCLUDED
    assert any("1 images were left out" in note for note in data.dataset.notes)


def test_a_time_that_is_no_date_names_its_row(tmp_path: Path) -> None:
    frame = _sites(tmp_path)
    frame.loc[4, "taken"] = "spring"
    with pytest.raises(InputError, match="row 6: column 'taken' holds no ISO date"):
        manifest_set(tmp_path, frame, time="taken", rule=Rule("time"))


def test_copies_across_a_given_split_are_listed_and_treated_as_asked(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path)
    frame["split"] = np.where(np.arange(len(frame)) < 80, "train", "test")
    copied = Image.fromarray(picture(0, 10 * 40)).resize((80, 80), Image.Resampling.BICUBIC)
    copied.save(tmp_path / frame["path"].iloc[0])  # patient 40 is tested
    save(tmp_path / frame["path"].iloc[1], picture(1, 10 * 41))
    sets = {
        each: manifest_set(tmp_path, frame, each, split="split", rule=Rule(copies=each))
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
        manifest_set(tmp_path, frame, "refuse", split="split", rule=Rule(copies="refuse"))


# ------------------------------------------------------------------------- a second test set


def test_an_external_set_is_tested_whole_but_for_what_the_target_holds(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=70)
    own = frame[frame["patient_id"].str[1:].astype(int) < 60]
    target = manifest_set(tmp_path, own)
    elsewhere = frame[frame["patient_id"].str[1:].astype(int) >= 55]
    test = external(manifest_set(tmp_path, elsewhere, "test", whole=True), target)
    records = test.records()
    assert set(records.loc[records["part"] == "test", "patient"]) == {
        f"p{k}" for k in range(60, 70)
    }
    assert (records["part"] == EXCLUDED).sum() == 10
    assert test.classes == target.classes
    assert any("10 external images were left out" in note for note in test.dataset.notes)


def test_patients_named_in_two_ways_are_not_said_to_have_been_compared(tmp_path: Path) -> None:
    for place, seed in (("here", 0), ("there", 9000)):
        for number in range(120):
            who = {"PatientID": f"p{number // 2}"}
            pixels = picture(number % 2, seed + number)
            save_dicom(tmp_path / place / f"c{number % 2}" / f"{number}.dcm", pixels, **who)
    here = image_set(tmp_path, kind="folder", path=tmp_path / "here")
    keys = {"kind": "folder", "path": tmp_path / "there", "whole": True}
    with pytest.raises(InputError, match="0 external test images"):  # the same people, by hash
        external(image_set(tmp_path, "same", **keys), here)
    private = external(image_set(tmp_path, "private", public=False, **keys), here)
    frame = write_manifest(tmp_path).replace({"well": "c0", "sick": "c1"})
    other = external(image_set(tmp_path, "other", **keys), manifest_set(tmp_path, frame))
    for test in (private, other):
        assert (test.records()["part"] == "test").all()
        assert any("by copied pictures alone" in note for note in test.dataset.notes)


def test_an_external_set_has_the_targets_class_numbers(tmp_path: Path) -> None:
    target = image_set(tmp_path, kind="folder", path=write_folder(tmp_path / "in", 40, 3))
    for label, name in ((2, "c2"), (0, "c0")):
        for number in range(10):
            save(
                tmp_path / "out" / name / f"{number}.png",
                picture(label, 7000 + 50 * label + number),
            )
    test = external(
        image_set(tmp_path, "o", kind="folder", path=tmp_path / "out", whole=True), target
    )
    assert np.bincount(test.labels()).tolist() == [10, 0, 10]
    (tmp_path / "out" / "c0").rename(tmp_path / "out" / "other")
    with pytest.raises(InputError, match=r"labels c2, other, expected those .* c0, c1, c2"):
        external(image_set(tmp_path, "p", kind="folder", path=tmp_path / "out", whole=True), target)


@pytest.mark.parametrize(("first", "said"), [("2000-01-01", "all"), ("2999-01-01", "none")])
def test_a_day_that_holds_out_all_or_none_is_refused(tmp_path: Path, first: str, said: str) -> None:
    frame = write_manifest(tmp_path).assign(taken="2020-02-02")
    with pytest.raises(
        InputError, match=f"{said} of 120 images would be held out for testing; set"
    ):
        manifest_set(tmp_path, frame, time="taken", rule=Rule("time", test_from=first))
