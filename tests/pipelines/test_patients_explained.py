"""What the patients report tells of columns and of the cohort; of private records no values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.multitask.named import network
from models.multitask.scorer import PatientsScorer
from models.multitask.shape import Shape
from pipelines.evidence import Evidence
from pipelines.settings import load_config
from pipelines.steps.patients.explaining import SECTION, explain
from pipelines.steps.patients.prepare import fetch_data, prepare
from pipelines.tracking import client, open_job
from tests.domains.sample_patients import sample_patients

OUTCOMES: list[dict[str, Any]] = [
    {"name": "stay", "kind": "regression", "column": "days", "transform": "log1p", "missing": [-1]},
    {"name": "death", "kind": "binary", "column": "died"},
    {"name": "place", "kind": "multiclass", "column": "discharge"},
    {"name": "survival", "kind": "survival", "time": "time", "event": "event", "horizons": [5, 20]},
]


def told(folder: Path, public: bool, external: bool = False) -> tuple[Evidence, dict[str, Any]]:
    """The evidence of a network as it begins, and the whole tables by name."""
    sample_patients(450).to_csv(folder / "visits.csv", index=False)
    sample_patients(90, seed=7).to_csv(folder / "elsewhere.csv", index=False)
    values: dict[str, Any] = {
        "data": {"path": "visits.csv", "patient": "id", "public": public},
        "outcomes": OUTCOMES,
        "scale": "tiny",
    }
    values |= {"test": {"path": "elsewhere.csv"}} if external else {}
    (folder / "job.yaml").write_text(json.dumps(values))
    with open_job("patients", load_config("patients", folder / "job.yaml")) as job:
        prepared = prepare.fn(job, fetch_data.fn(job))
        encoder, codecs = prepared.read_rules()
        sizes = {name: codec.size for name, codec in codecs.items()}
        shape = Shape(encoder.width, sizes, 8, "tabm", 2, encoder.numbers)
        scorer = PatientsScorer(encoder, codecs, network("hard", shape).eval(), "hard", shape)
        blank = Evidence("patients", "", prepared.dataset.to_json(), prepared.split, {}, [])
        evidence = explain.fn(job, prepared, scorer.save(job.folder / "package"), blank)
        for figure in evidence.figures:
            assert figure.path.stat().st_size
        folders = client().download_artifacts(job.run_id, "tables", str(folder))
        tables = {path.name: pd.read_csv(path) for path in Path(folders).iterdir()}
    return evidence, tables


def test_a_public_report_explains_the_cohort_and_two_records_by_number(
    home: Path, tmp_path: Path
) -> None:
    evidence, tables = told(tmp_path, public=True, external=True)
    assert [figure.name for figure in evidence.figures] == ["explained", "explained-records"]
    moves, two, cohort = evidence.tables
    assert [row[0] for row in moves.rows] == ["stay", "death", "place", "survival"]
    assert {row[0] for row in two.rows} == {"age", "lab", "ward", "smoker"}
    assert all(name.startswith("test record ") for name in (two.columns[1], two.columns[3]))
    assert {table.section for table in (moves, two)} == {SECTION}
    assert cohort.columns[1:6] == ["train", "validation", "calibration", "test", "external"]
    part = tables["explained.csv"].set_index("column")
    np.testing.assert_allclose(part.sum(), 1.0)
    whole = tables["cohort.csv"].set_index("variable")
    assert whole.loc["records", "external"] == "90"
    assert whole["difference external"].notna().any()
    assert (remark := evidence.remarks[SECTION][0]).startswith("Over 40 of the ")
    assert "not what causes" in remark
    assert "p0-" not in repr(evidence)


def test_of_private_records_no_one_s_values_are_told(
    home: Path, known_key: None, tmp_path: Path
) -> None:
    evidence, tables = told(tmp_path, public=False)
    moves, cohort = evidence.tables
    assert moves.section == SECTION
    (_, record) = evidence.figures
    assert "made up" in record.caption
    assert all(table.title != "Two records and death" for table in evidence.tables)
    rows = tables["cohort.csv"]
    counted = rows[rows["level"].notna()]
    for part in ("train", "validation", "calibration", "test"):
        counts = counted[part][counted[part] != "<5"].str.replace(",", "").str.split(" ").str[0]
        assert (counts.astype(int) % 5 == 0).all()
    assert "<5" in counted.to_numpy()
    assert "Nothing is told of fewer than five patients" in cohort.caption
