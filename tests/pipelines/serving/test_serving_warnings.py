"""A request is told of categories the model does not know and columns it does not use."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.domains.sample_patients import sample_patients
from tests.pipelines.serving.sample_service import (
    PATIENTS,
    Served,
    loans,
    patients_scorer,
    records,
    register,
    register_loans,
    serving,
    table_example,
)

SECRET = "Zemblanity-7340"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("warnings")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder))
        register_loans()
        with serving("loans") as server:
            yield server


def _loans(purposes: list[Any]) -> list[dict[str, Any]]:
    rows = loans(len(purposes))
    return [{**row, "purpose": purpose} for row, purpose in zip(rows, purposes, strict=True)]


def test_what_is_known_is_answered_without_a_warning(served: Served) -> None:
    assert "warnings" not in served.predict(records=_loans(["car", "home", None, ""]))


def test_unknown_categories_are_counted_and_not_repeated(served: Served) -> None:
    rows = [*_loans([SECRET, None, "car", SECRET]), {**_loans(["car"])[0], "amount": "x"}]
    answer = served.predict(records=rows)
    (line,) = answer["warnings"]
    assert line.startswith("column purpose: 2 of 3 values are categories that the model has not")
    assert SECRET not in str(answer)


def test_columns_that_are_not_used_are_counted_and_their_names_not_repeated(
    served: Served,
) -> None:
    rows = _loans(["car", "home", "car"])
    rows[1] |= {SECRET: 1, "other": 2}
    answer = served.predict(records=rows)
    assert answer["warnings"] == ["2 columns that were sent are not used by loans"]
    split = {"columns": [*rows[0], SECRET], "data": [[*rows[0].values(), 1]]}
    _, answer, _ = served.ask("POST", "/invocations", {"dataframe_split": split})
    assert answer["warnings"] == ["1 column that was sent is not used by loans"]


def test_of_questions_answered_together_each_hears_of_its_own_rows(served: Served) -> None:
    asked = [_loans(["car"] * k + [SECRET] * (k % 3)) for k in range(1, 40)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda rows: served.predict(records=rows), asked))
    for k, answer in enumerate(answers, 1):
        told = answer.get("warnings", [])
        assert [line.partition(" values")[0] for line in told] == (
            [f"column purpose: {k % 3} of {k + k % 3}"] if k % 3 else []
        )


def test_the_description_names_the_list(served: Served) -> None:
    _, described, _ = served.ask("GET", "/openapi.json")
    assert "warnings" in described["components"]["schemas"]["Answered"]["properties"]
    assert "warnings" not in described["components"]["schemas"]["Answered"]["required"]


def test_patients_are_told_too(home: Path) -> None:
    rows = records(sample_patients(), PATIENTS)[:3]
    scorer = replace(patients_scorer(), known={"lab": 0.8, "smoker": 1.0})
    register("patients", scorer, table_example(PATIENTS, rows), "champion")
    with serving("patients") as server:
        assert "warnings" not in server.predict(records=rows)
        (line,) = server.predict(records=[{**row, "ward": SECRET} for row in rows])["warnings"]
        assert "warnings" not in server.predict(records=[{**row, "lab": None} for row in rows])
        many = [{**row, "lab": None} for row in rows * 7]
        (empty,) = server.predict(records=many)["warnings"]
        (far,) = server.predict(records=[{**row, "age": 9999} for row in rows])["warnings"]
    assert line.startswith("column ward: 3 of 3 values")
    assert empty.startswith("column lab: empty in all 21 rows, though 80% of training records have")
    assert far.startswith("column age: 3 of 3 numbers lie further")
