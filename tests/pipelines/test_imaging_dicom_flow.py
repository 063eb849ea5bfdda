"""A hospital's DICOM files through a whole run: nobody's name is in anything the run leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.imaging import imaging
from pipelines.scoring.batch import score_file
from pipelines.settings import ImagingConfig, ScoreConfig, load_config
from tests.domains.sample_images import picture, save_dicom

pytestmark = pytest.mark.slow

TOLD = {
    "PatientName": "XSECRET^JANE",
    "PatientBirthDate": "19610203",
    "AccessionNumber": "ACC4711",
    "InstitutionName": "XHOSPITAL",
    "StudyInstanceUID": "1.2.840.4711.99",
    "StudyDate": "20200102",
}
WORDS = ["MRN-", *TOLD.values()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> dict[str, Any]:
    """A run on private files of 12 bits, one of them cut short, one without pixels."""
    folder = tmp_path_factory.mktemp("dicom")
    for label, name in enumerate(("normal", "sick")):
        for number in range(70):
            pixels = picture(label, 1000 * label + number).astype(np.int16) * 8 - 900
            told = {**TOLD, "PatientID": f"MRN-{label}-{number // 2}"}
            window = {"WindowCenter": 100, "WindowWidth": 2000}
            save_dicom(folder / "in" / name / f"IM{number:03}", pixels, **told, **window)
    broken = folder / "in" / "sick" / "IM003"
    broken.write_bytes(broken.read_bytes()[:900])
    save_dicom(folder / "in" / "sick" / "plan.dcm", picture(0, 0), **TOLD, PixelData=None)
    keys = {"data": {"kind": "folder", "path": "in", "name": "ward"}, "scale": "tiny"}
    (folder / "job.yaml").write_text(json.dumps({**keys, "strategy": "transfer"}))
    (folder / "home").mkdir()
    (folder / "home" / "key").write_bytes(bytes(range(32)))
    config = load_config("imaging", folder / "job.yaml")
    assert isinstance(config, ImagingConfig)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        result: dict[str, Any] = imaging(config)
        told = folder / "home" / "reports" / result["run_id"]
        scored = score_file(
            ScoreConfig.model_validate(
                {
                    "model": "imaging-ward/1",
                    "input": folder / "in" / "normal",
                    "output": folder / "home" / "scores.csv",
                }
            )
        )
    return {"folder": folder, "result": result, "reports": told, "scored": scored}


def test_what_a_run_leaves_names_nobody(run: dict[str, Any]) -> None:
    read = 0
    for path in (run["folder"] / "home").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += str(pd.read_parquet(path).to_dict()).encode()
            found = [word for word in WORDS if word.encode() in content]
            assert not found, f"{path.name} holds {found}"
            read += 1
    assert read > 20
    assert not [word for word in WORDS if word in json.dumps(run["result"])]


def test_unusable_files_are_listed_beside_the_report(run: dict[str, Any]) -> None:
    listed = pd.read_csv(run["reports"] / "data_set_aside.csv")
    assert [Path(file).name for file in listed["file"]] == ["IM003", "plan.dcm"]
    assert listed["reason"].tolist() == [
        "truncated or damaged DICOM file",
        "DICOM file without pixel data",
    ]


def test_a_report_without_a_temperature_shows_no_before_and_after(run: dict[str, Any]) -> None:
    page = (run["reports"] / "report.html").read_text(encoding="utf-8")
    assert "no temperature was fitted" in page
    assert "before and after temperature scaling" not in page


def test_the_registered_version_answers_for_dicom_files(run: dict[str, Any]) -> None:
    assert (run["scored"]["rows"], run["scored"]["rejected"]) == (70, 0)
    answers = pd.read_csv(run["folder"] / "home" / "scores.csv")
    assert (answers["p_normal"] > 0.5).mean() > 0.9
