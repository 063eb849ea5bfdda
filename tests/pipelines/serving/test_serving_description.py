"""The OpenAPI description is complete and true: fuzzed from itself, no answer is a surprise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, positive_data_acceptance

from tests.domains.sample_patients import sample_patients
from tests.pipelines.serving.sample_service import (
    PATIENTS,
    Served,
    images,
    imaging_scorer,
    patients_scorer,
    records,
    register,
    register_loans,
    serving,
    table_example,
)

pytestmark = pytest.mark.slow

KEY = "s3cret"
HEADERS = {"Authorization": f"Bearer {KEY}", "X-API-Key": KEY}


@pytest.fixture(scope="module", params=["loans", "patients", "images"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Served]]:
    """A server of each kind, which asks for a key."""
    load_all_checks()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(tmp_path_factory.mktemp("serving")))
        if request.param == "loans":
            register_loans()
        elif request.param == "patients":
            rows = records(sample_patients(3, seed=9), PATIENTS)
            register("patients", patients_scorer(), table_example(PATIENTS, rows), "champion")
        else:
            example = {"inputs": images(2, 32).tolist()}
            register("images", imaging_scorer(), example, "champion")
        with serving(request.param, KEY) as server:
            yield request.param, server


def _fuzz(served: Served, mode: GenerationMode, count: int, excluded: list[Any]) -> list[str]:
    """Requests made from the description, and what the answers tell; returns what was fuzzed."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json")
    fuzzed = []
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue

        @settings(
            max_examples=count,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=HEADERS, excluded_checks=excluded)

        ask()
        fuzzed.append(operation.label)
    return fuzzed


def test_what_the_description_allows_is_answered_as_it_says(served: tuple[str, Served]) -> None:
    kind, server = served
    # That bytes are an image of at least 8 pixels a side is more than a schema can say.
    excluded = [positive_data_acceptance] if kind == "images" else []
    fuzzed = _fuzz(server, GenerationMode.POSITIVE, 25, excluded)
    expected = ["GET /health", "GET /metrics", "GET /ready", "POST /predict"]
    assert sorted(fuzzed) == sorted(
        expected if kind == "images" else [*expected, "POST /invocations"]
    )


def test_what_the_description_forbids_is_refused_as_it_says(served: tuple[str, Served]) -> None:
    assert "POST /predict" in _fuzz(served[1], GenerationMode.NEGATIVE, 25, [])


def test_columns_and_outcomes_of_the_version_are_described(served: tuple[str, Served]) -> None:
    kind, server = served
    _, made, _ = server.ask("GET", "/openapi.json")
    text = json.dumps(made["paths"]["/predict"])
    columns = {"loans": ["amount", "purpose"], "patients": PATIENTS, "images": ["image/png"]}
    assert all(f'"{name}"' in text for name in columns[kind])
    assert made["paths"]["/predict"]["post"]["security"] == [{"bearer": []}, {"header": []}]


def test_no_page_asks_another_server(served: tuple[str, Served], tmp_path: Path) -> None:
    for path in ("/docs", "/redoc"):
        assert served[1].ask("GET", path, headers={"X-API-Key": KEY})[0] == 404
