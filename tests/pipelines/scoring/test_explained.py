"""One patient's explanation: whole, about the right patient, and refused in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from scipy.special import logit

from domains.errors import InputError
from pipelines.commands.explain import explain
from pipelines.scoring.explained import explain_patient
from tests.domains.sample_patients import sample_patients
from tests.pipelines.governance.sample_versions import LOANS, loan_scorer
from tests.pipelines.governance.sample_versions import register as register_loans
from tests.pipelines.scoring.sample_scores import score
from tests.pipelines.serving.sample_service import (
    PATIENTS,
    patients_scorer,
    records,
    register,
    table_example,
)

FRAME = sample_patients(40, seed=4)[PATIENTS].assign(
    id=[f"{place // 2:04d}" if place < 4 else f"{place:04d}" for place in range(40)]
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("explained")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        rows = records(sample_patients(3, seed=9), PATIENTS)
        register("patients", patients_scorer(), table_example(PATIENTS, rows), "champion")
        register_loans(loan_scorer(), LOANS)
        FRAME.to_csv(folder / "patients.csv", index=False)
        yield folder / "patients.csv"


def test_shares_of_a_patient_add_up_to_what_a_scoring_answers(file: Path) -> None:
    output = file.with_name("scored.csv")
    score(file, output, "patients", id="id")
    scored = pd.read_csv(output, dtype={"id": str}).set_index("id")
    (answers,) = explain_patient("patients", file, "0017", "id").records
    death = answers[0]
    assert death.outcome == "death"
    assert death.value == pytest.approx(logit(scored.loc["0017", "death"]), abs=1e-4)
    assert death.typical + sum(death.columns.values()) == pytest.approx(death.value)
    assert set(death.columns) == {"age", "lab", "ward", "smoker"}
    sizes = [abs(change) for change in death.columns.values()]
    assert sizes == sorted(sizes, reverse=True)
    assert len({answer.answer for answer in answers}) == len(answers) > 1


def test_a_patient_is_found_by_id_however_spelled_with_all_records_or_by_row(file: Path) -> None:
    assert len(explain_patient("patients", file, "0001", "id").records) == 2
    by_id = explain_patient("patients", file, "17", "id").records
    assert explain_patient("patients", file, "18").records == by_id


def test_the_command_prints_every_column_and_json(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain("patients", file, "0017", "id")
    told = capsys.readouterr().out
    assert told.startswith("patients version 1\n  death, log-odds: ")
    explain("patients", file, "0017", "id", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["records"][0][0]["outcome"] == "death"


@pytest.mark.parametrize(
    ("model", "patient", "said"),
    [
        ("patients", "4711", "0 rows are of the patient asked for, expected 1 to 20"),
        (LOANS, "0017", "is a model of credit, expected one of patients"),
    ],
)
def test_who_cannot_be_explained_is_said(model: str, patient: str, said: str, file: Path) -> None:
    with pytest.raises(InputError, match=said) as refused:
        explain_patient(model, file, patient, "id")
    assert patient not in str(refused.value).replace(str(file), "")


def test_a_record_that_cannot_be_answered_is_named_by_column(file: Path) -> None:
    wrong = FRAME.astype({"age": object})
    wrong.loc[30, "age"] = "old"
    wrong.to_csv(file.with_name("wrong.csv"), index=False)
    with pytest.raises(InputError, match="column 'age': text, expected a number"):
        explain_patient("patients", file.with_name("wrong.csv"), "30", "id")
