"""A server answers with a model's champion, as in batch, and follows the alias under load."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig
from tests.domains.sample_images import dicom
from tests.domains.sample_loans import sample_loans
from tests.domains.sample_patients import sample_patients
from tests.pipelines.serving.sample_service import (
    LOANS,
    PATIENTS,
    Served,
    credit_scorer,
    images,
    imaging_scorer,
    loans,
    metrics,
    patients_scorer,
    records,
    register,
    register_loans,
    serving,
    table_example,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One home for the servers of this module."""
    folder = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def served_loans(shared_home: Path) -> Iterator[Served]:
    register_loans()
    with serving("loans") as served:
        yield served


@pytest.fixture(scope="module")
def served_patients(shared_home: Path) -> Iterator[Served]:
    rows = records(sample_patients(3, seed=9), PATIENTS)
    register("patients", patients_scorer(), table_example(PATIENTS, rows), "champion")
    with serving("patients") as served:
        yield served


@pytest.fixture(scope="module")
def served_images(shared_home: Path) -> Iterator[Served]:
    register("images", imaging_scorer(), {"inputs": images(2, 32).tolist()}, "champion")
    with serving("images") as served:
        yield served


def _scored(model: str, given: Path, outputs: list[str]) -> np.ndarray:
    """What batch scoring makes of a file or folder, row by row."""
    output = given.with_name(f"{given.stem}.scored.parquet")
    score_file(ScoreConfig(model=model, input=given, output=output))
    made: np.ndarray = pd.read_parquet(output)[outputs].to_numpy(dtype=float)
    return made


def _answered(answer: dict[str, Any]) -> tuple[list[str], np.ndarray]:
    names = list(answer["predictions"][0])
    return names, pd.DataFrame(answer["predictions"])[names].to_numpy(dtype=float)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_loans_are_answered_as_in_batch(served_loans: Served, tmp_path: Path, kind: str) -> None:
    frame = sample_loans(300, seed=11)[LOANS]
    given = tmp_path / f"loans.{kind}"
    frame.to_csv(given, index=False) if kind == "csv" else frame.to_parquet(given)
    names, made = _answered(served_loans.predict(records=records(frame, LOANS)))
    assert names == ["probability"]
    assert np.abs(made - _scored("loans", given, names)).max() < 1e-6


def test_patients_are_answered_as_in_batch(served_patients: Served, tmp_path: Path) -> None:
    frame = sample_patients(120, seed=4)[PATIENTS]
    frame.to_csv(tmp_path / "patients.csv", index=False)
    names, made = _answered(served_patients.predict(records=records(frame, PATIENTS)))
    assert {"death", "stay", "survival.at_5", "place.home"} <= set(names)
    assert {"stay.low", "stay.high"} <= set(names)
    assert np.abs(made - _scored("patients", tmp_path / "patients.csv", names)).max() < 1e-6


def _png(pixels: np.ndarray, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def test_images_are_answered_as_in_batch(served_images: Served, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    files = [_png(image, form) for image, form in zip(images(6), 3 * ["PNG", "JPEG"], strict=True)]
    for number, content in enumerate(files):
        suffix = "png" if number % 2 == 0 else "jpg"
        (tmp_path / "images" / f"{number}.{suffix}").write_bytes(content)
    several = [base64.b64encode(content).decode() for content in files]
    names, together = _answered(served_images.predict(images=several))
    assert names == ["p_a", "p_b", "p_c"]
    alone = []
    for number, content in enumerate(files):
        kind = "image/png" if number % 2 == 0 else "image/jpeg"
        status, answer, _ = served_images.ask("POST", "/predict", content, {"Content-Type": kind})
        assert status == 200
        alone.append([answer["predictions"][0][name] for name in names])
    batch = _scored("images", tmp_path / "images", names)
    assert np.abs(together - batch).max() < 1e-6
    assert np.abs(np.array(alone) - batch).max() < 1e-6
    assert len(np.unique(batch.round(4), axis=0)) > 1


def test_a_dicom_file_is_answered_as_the_same_picture_is(served_images: Served) -> None:
    buffer = io.BytesIO()
    pixels = images(1)[0]
    dicom(pixels, PatientName="DOE^JANE").save_as(buffer, enforce_file_format=True)
    asked = {"image/png": _png(pixels), "application/dicom": buffer.getvalue()}
    answers = []
    for kind, content in asked.items():
        status, answer, _ = served_images.ask("POST", "/predict", content, {"Content-Type": kind})
        assert status == 200
        answers.append(answer["predictions"])
    assert answers[0] == answers[1]
    in_json = base64.b64encode(asked["application/dicom"]).decode()
    assert served_images.predict(images=[in_json])["predictions"] == answers[0]
    none = io.BytesIO()
    dicom(pixels, PatientName="DOE^JANE", PixelData=None).save_as(none, enforce_file_format=True)
    status, answer, _ = served_images.ask(
        "POST", "/predict", none.getvalue(), {"Content-Type": "application/dicom"}
    )
    assert status == 422
    assert answer["rejected"] == [{"row": 0, "reason": "DICOM file without pixel data"}]
    assert "DOE" not in str(answer)


def test_a_bad_image_does_not_fail_the_others(served_images: Served) -> None:
    good = base64.b64encode(_png(images(1)[0])).decode()
    tiny = base64.b64encode(_png(np.zeros((3, 3), np.uint8))).decode()
    answer = served_images.predict(images=[good, "not base64!", tiny, 7])
    assert [row["row"] for row in answer["rejected"]] == [1, 2, 3]
    assert [made is None for made in answer["predictions"]] == [False, True, True, True]
    status, answer, _ = served_images.ask(
        "POST", "/predict", b"GIF89a", {"Content-Type": "image/png"}
    )
    assert status == 422
    assert answer["rejected"] == [{"row": 0, "reason": "not a PNG, JPEG, DICOM or NIfTI image"}]


def test_a_bad_row_does_not_fail_the_others_and_no_value_is_repeated(served_loans: Served) -> None:
    rows = [*loans(3), {"amount": 1}, {**loans(1)[0], "amount": "Xanadu"}, "Zembla"]
    answer = served_loans.predict(records=rows)
    assert [row["row"] for row in answer["rejected"]] == [3, 4, 5]
    assert answer["rejected"][0]["reason"] == "column 'income' is missing (and 1 more)"
    assert answer["predictions"][:3] == served_loans.predict(records=loans(3))["predictions"]
    assert "Xanadu" not in json.dumps(answer)
    assert "Zembla" not in json.dumps(answer)


def test_all_rows_bad_is_422_and_names_what_the_model_needs(served_loans: Served) -> None:
    status, answer, _ = served_loans.ask("POST", "/predict", {"records": [{"amount": 1}] * 2})
    assert status == 422
    assert "'income' is missing" in answer["detail"]
    assert "amount, income, purpose" in answer["detail"]
    assert len(answer["rejected"]) == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"records": [{"amount": NaN, "income": 1, "purpose": "car"}]}', "NaN, Infinity"),
        (b'{"records": [{"amount": Infinity, "income": 1, "purpose": "car"}]}', "NaN, Infinity"),
        (b'{"records": [{"amount": 1e999, "income": 1, "purpose": "car"}]}', "1e999"),
        (b'{"records": []}', "at least one"),
        (b'{"record": []}', "no 'records'"),
        (b'{"records": [{}], "reason": true}', "another key"),
        (b'{"records": [{}], "reasons": 1}', "true or false"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not JSON in UTF-8"),
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_body_that_is_not_what_is_expected_is_422(
    served_loans: Served, body: bytes, said: str
) -> None:
    status, answer, _ = served_loans.ask(
        "POST", "/predict", body, {"Content-Type": "application/json"}
    )
    assert status == 422
    assert said in answer["detail"]


def test_mlflows_forms_give_the_same_predictions(served_loans: Served) -> None:
    rows = loans(4)
    expected = served_loans.predict(records=rows)["predictions"]
    columns = {name: [row[name] for row in rows] for name in LOANS}
    forms: list[dict[str, Any]] = [
        table_example(LOANS, rows),
        {"dataframe_records": rows},
        {"instances": rows},
        {"inputs": rows},
        {"inputs": columns, "params": {}},
    ]
    for form in forms:
        status, answer, _ = served_loans.ask("POST", "/invocations", form)
        assert status == 200, answer
        assert answer["predictions"] == expected
    status, answer, _ = served_loans.ask("POST", "/invocations", {"records": rows})
    assert status == 422
    assert "exactly one of" in answer["detail"]


def test_reasons_are_given_on_request_where_the_model_has_them(
    served_loans: Served,
) -> None:
    rows = loans(5)
    answer = served_loans.predict(records=[*rows[:2], {}, *rows[2:]], reasons=True)
    expected = credit_scorer().reasons(pd.DataFrame(rows))
    assert answer["reasons"][2] is None
    given = [codes for codes in answer["reasons"] if codes is not None]
    assert [[code["column"] for code in codes] for codes in given] == [
        [code.column for code in codes] for codes in expected
    ]


def test_metrics_count_requests_rows_and_the_version(served_loans: Served) -> None:
    before = metrics(served_loans)
    served_loans.predict(records=[*loans(3), {}])
    served_loans.ask("GET", "/nowhere")
    after = metrics(served_loans)
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    assert grown["careledger_rows_total"] == 3
    assert grown['careledger_requests_total{path="/predict",status="200"}'] == 1
    assert grown['careledger_requests_total{path="other",status="404"}'] == 1
    assert after['careledger_model_info{model="loans",version="1"}'] == 1
    assert after["careledger_load_failures_total"] == 0
