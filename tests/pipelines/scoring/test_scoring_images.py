"""Folders and manifests of images: a row an image, whatever the image is like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from domains.errors import InputError
from domains.healthcare.images.pixels import Reading, Slices
from models.imaging.backbones import Classifier, build, settle
from models.imaging.features import to_batch
from models.imaging.scorer import ImagingScorer
from pipelines.scoring.batch import Result, score_file
from pipelines.settings import ScoreConfig
from tests.domains.sample_images import picture, save, save_dicom, save_nifti, save_series
from tests.pipelines.governance.sample_versions import register

SCANS = "imaging-scans"


@pytest.fixture(scope="module")
def scorer() -> ImagingScorer:
    return _scorer(Reading("own"))


def _scorer(reading: Reading) -> ImagingScorer:
    """A net that tells images apart, though it has learned nothing."""
    seen = np.stack([np.repeat(picture(k % 3, k)[..., None], 3, axis=2) for k in range(16)])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = settle(build("efficientnet-lite0", 40, seed=0), [to_batch(seen)])
        net = Classifier(backbone, 2).eval()
        torch.nn.init.normal_(net.head.weight, std=0.02)
    return ImagingScorer(net, ("benign", "malignant"), 40, reading=reading)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, scorer: ImagingScorer) -> Iterator[Path]:
    """A home with one champion, and images of several sizes and depths, two of them damaged."""
    folder = tmp_path_factory.mktemp("images")
    draws = np.random.default_rng(0)
    for number in range(20):
        place = folder / "scans" / ("b" if number % 2 else "a") / f"{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 255, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02d}.{'jpg' if number % 5 else 'PNG'}")
    Image.fromarray(draws.integers(0, 4095, (40, 40)).astype(np.uint16)).save(
        folder / "scans" / "deep.png"
    )
    (folder / "scans" / "empty.png").write_bytes(b"")
    (folder / "scans" / "words.jpeg").write_text("not an image")
    (folder / "scans" / ".hidden.png").write_text("passed over")
    (folder / "scans" / "notes.txt").write_text("passed over")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        register(scorer, SCANS)
        yield folder


def _score(source: Path, output: Path, **options: object) -> Result:
    return score_file(
        ScoreConfig.model_validate({"model": SCANS, "input": source, "output": output, **options})
    )


def test_a_folder_of_any_depth_is_a_row_an_image_by_its_path(
    folder: Path, scorer: ImagingScorer
) -> None:
    result = _score(folder / "scans", folder / "out.parquet", chunk=4)
    out = pd.read_parquet(folder / "out.parquet")
    images = [p for p in (folder / "scans").rglob("*") if p.name[0] != "." and p.suffix != ".txt"]
    expected = sorted(p.relative_to(folder / "scans").as_posix() for p in images if p.is_file())
    assert sorted(out["id"]) == expected
    assert (result["rows"], result["rejected"]) == (23, 2)
    assert pd.read_csv(result["rejects"])["reason"].tolist() == [
        "empty file",
        "not a PNG, JPEG, DICOM or NIfTI image",
    ]
    found = out.set_index("id")["p_malignant"]
    for name in expected[:3]:
        pixels = np.asarray(Image.open(folder / "scans" / name).convert("RGB"))
        alone = scorer.predict(pixels[None])["p_malignant"][0]
        assert found[name] == pytest.approx(alone, abs=1e-7)


def test_images_do_not_depend_on_where_pieces_end(folder: Path) -> None:
    found = []
    for chunk in (3, 512):
        _score(folder / "scans", folder / "ends.parquet", chunk=chunk)
        found.append(pd.read_parquet(folder / "ends.parquet").set_index("id")["p_benign"])
    assert max(np.abs(each - found[-1]).max() for each in found) < 1e-7


@pytest.mark.parametrize("column", ["path", "image", "file"])
def test_a_manifest_names_its_images_and_keeps_its_order(folder: Path, column: str) -> None:
    names = ["scans/deep.png", "scans/none.png", "scans/a/0/00.PNG", "", "scans/deep.png"]
    text = [f"{column},note", *(f"{name},x" for name in names), "scans/deep.png,x,torn"]
    (folder / "list.csv").write_text("\n".join(text) + "\n")
    option = {"image": "file"} if column == "file" else {}
    result = _score(folder / "list.csv", folder / "listed.csv", **option)
    out = pd.read_csv(folder / "listed.csv")
    assert out["id"].fillna("").tolist() == [*names, ""]
    assert out["p_benign"].notna().tolist() == [True, False, True, False, True, False]
    assert out["p_benign"][0] == pytest.approx(out["p_benign"][4], abs=1e-7)
    assert pd.read_csv(result["rejects"])["reason"].tolist() == [
        "no such file",
        "no file is named",
        "3 fields, expected 2 as in the header",
    ]


def test_a_renamed_or_changed_image_is_other_data(folder: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels[0]).save(tmp_path / "one.png")
    first = _score(tmp_path, folder / "one.csv")["data"]["digest"]
    assert first.startswith("hmac-sha256:")
    Image.fromarray(pixels[1]).save(tmp_path / "one.png")
    assert _score(tmp_path, folder / "one.csv")["data"]["digest"] != first


def test_what_holds_no_image_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "list.csv").write_text("file\n")
    with pytest.raises(InputError, match="holds no PNG, JPEG, DICOM or NIfTI image"):
        _score(tmp_path, folder / "none.csv")
    with pytest.raises(InputError, match=r"no column 'path' or 'image'.*--image"):
        _score(tmp_path / "list.csv", folder / "none.csv")
    with pytest.raises(InputError, match="holds no rows"):
        _score(tmp_path / "list.csv", folder / "none.csv", image="file")
    with pytest.raises(InputError, match="leave --id out"):
        _score(tmp_path, folder / "none.csv", id="file")


def test_dicom_files_are_scored_as_the_same_picture_is(folder: Path, tmp_path: Path) -> None:
    told = {"PatientName": "DOE^JANE", "PatientID": "MRN-4711"}
    save(tmp_path / "in" / "plain.png", picture(0, 1))
    save_dicom(tmp_path / "in" / "study" / "IM1", picture(0, 1), **told)
    save_dicom(tmp_path / "in" / "study" / "other.dcm", picture(1, 2), **told)
    save_dicom(tmp_path / "in" / "none.dcm", picture(0, 1), PixelData=None, **told)
    (tmp_path / "in" / "film.gif").write_bytes(b"GIF89a")
    result = _score(tmp_path / "in", tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv").set_index("id")["p_benign"]
    assert found["plain.png"] == pytest.approx(found["study/IM1"], abs=1e-7)
    assert found["plain.png"] != pytest.approx(found["study/other.dcm"], abs=1e-7)
    rejected = pd.read_csv(result["rejects"]).set_index("id")["reason"].to_dict()
    assert rejected == {
        "none.dcm": "DICOM file without pixel data",
        "film.gif": "not a PNG, JPEG, DICOM or NIfTI image",
    }
    written = "".join(path.read_text() for path in tmp_path.glob("*.csv"))
    assert "DOE" not in written
    assert "MRN" not in written


def test_dicom_files_are_found_whatever_their_names_and_the_rest_is_told(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("1.2.840.113619.2.5", "scan.v2", "IM0001"):
        save_dicom(tmp_path / "in" / name, picture(0, 1))
    (tmp_path / "in" / "notes.txt").write_text("passed over")
    (tmp_path / "in" / "again").symlink_to(folder / "scans")
    result = _score(tmp_path / "in", tmp_path / "out.csv")
    assert (result["rows"], result["rejected"]) == (3, 0)
    for said in ("1 file(s) that are no images passed over", "1 linked folder(s) passed over"):
        assert said in result["warnings"]


@pytest.mark.parametrize("axis", ["axial", "coronal"])
def test_a_series_in_a_folder_is_scored_as_the_volume_it_was_trained_as(
    folder: Path, tmp_path: Path, axis: Any
) -> None:
    register(_scorer(Reading((0.0, 1020.0), Slices(axis, every=8))), f"imaging-{axis}")
    volume = np.stack([picture(0, k) for k in range(16)]).astype(np.int16) * 4
    save_series(tmp_path / "in" / "study" / "series", volume)
    save_dicom(tmp_path / "in" / "study" / "series" / "IM0099", volume[0])  # of no series
    (tmp_path / "list.csv").write_text("path\nalone\n")
    save_series(tmp_path / "alone", volume)
    found = []
    for place, name in ((tmp_path / "in", "whole.csv"), (tmp_path / "list.csv", "listed.csv")):
        config = {"model": f"imaging-{axis}", "input": place, "output": tmp_path / name}
        score_file(ScoreConfig.model_validate(config))
        found.append(pd.read_csv(tmp_path / name).set_index("id")["p_benign"])
    ids = [f"study/series/IM0000#{each.partition('#')[2]}" for each in found[1].index]
    assert list(found[0].index) == [*ids, "study/series/IM0099"]
    assert np.allclose(found[0].iloc[:-1], found[1], atol=1e-7)


def test_a_volume_is_a_row_for_each_slice_the_model_takes(folder: Path, tmp_path: Path) -> None:
    reading = Reading((0.0, 1020.0), Slices(every=4, stack=3))
    register(_scorer(reading), "imaging-volumes")
    volume = np.stack([picture(0, k) for k in range(9)]).astype(np.int16) * 4
    save_nifti(tmp_path / "in" / "a.nii.gz", volume.transpose(2, 1, 0)[::-1, ::-1])
    save_series(tmp_path / "in" / "series", volume)
    (tmp_path / "in" / "list.csv").write_text("path\na.nii.gz\nseries\nnone.nii\n")
    config = {"model": "imaging-volumes", "input": tmp_path / "in" / "list.csv"}
    score_file(ScoreConfig.model_validate({**config, "output": tmp_path / "out.csv"}))
    found = pd.read_csv(tmp_path / "out.csv").set_index("id")["p_benign"]
    assert list(found.index) == [
        *(f"{n}#{k}" for n in ("a.nii.gz", "series") for k in (0, 4, 8)),
        "none.nii",
    ]
    assert np.allclose(found.iloc[:3], found.iloc[3:6], atol=1e-7)
    assert found.iloc[:3].nunique() == 3
    assert np.isnan(found["none.nii"])


def test_a_manifest_with_a_row_a_slice_is_answered_once_a_slice(
    folder: Path, tmp_path: Path
) -> None:
    register(_scorer(Reading((0.0, 1020.0), Slices(every=4))), "imaging-slices")
    volume = np.stack([picture(0, k) for k in range(9)]).astype(np.int16) * 4
    save_nifti(tmp_path / "in" / "a.nii.gz", volume.transpose(2, 1, 0))
    save(tmp_path / "in" / "b.png", picture(0, 1))
    rows = ["a.nii.gz,0", "a.nii.gz,4", "b.png,0", "a.nii.gz,8", "b.png,0"]
    (tmp_path / "in" / "list.csv").write_text("\n".join(["path,slice", *rows]))
    config = {"model": "imaging-slices", "input": tmp_path / "in" / "list.csv", "chunk": 1}
    result = score_file(ScoreConfig.model_validate({**config, "output": tmp_path / "out.csv"}))
    found = list(pd.read_csv(tmp_path / "out.csv")["id"])
    assert found == [*(f"a.nii.gz#{k}" for k in (0, 4, 8)), "b.png", "b.png"]
    assert "2 row(s) that name a volume again passed over" in result["warnings"]
