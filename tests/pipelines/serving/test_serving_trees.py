"""Trees and nets answer over HTTP what they answer in batch: number, decision, reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from models.credit import CreditScorer, build
from models.credit_decision import Cutoff, Use
from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig
from tests.domains.sample_loans import sample_loans
from tests.models.sample_card import sample_encoder
from tests.models.trees.sample_trees import ENCODER, banks, grown
from tests.pipelines.serving.sample_service import (
    LOANS,
    loans,
    records,
    register,
    serving,
    table_example,
)

pytestmark = pytest.mark.slow


def _net() -> CreditScorer:
    encoder = sample_encoder("linear")
    return CreditScorer(encoder, build(encoder.width, 4, seed=2), 0.9, -0.2)


@pytest.mark.parametrize("kind", ["trees", "mlp"])
@pytest.mark.parametrize("use", [Use(), Use(Cutoff(0.7, 0.4), 0.3)], ids=["older", "decides"])
def test_answers_are_the_same_in_batch_and_over_http(
    kind: str, use: Use, home: Path, tmp_path: Path
) -> None:
    made = _net() if kind == "mlp" else CreditScorer(ENCODER, grown(banks()), 0.9, -0.2)
    scorer = replace(made, use=use)
    register(kind, scorer, table_example(LOANS, loans(3)), "champion")
    frame = sample_loans(100, seed=11)[LOANS]
    given, output = tmp_path / "loans.csv", tmp_path / "scored.parquet"
    frame.to_csv(given, index=False)
    score_file(ScoreConfig(model=kind, input=given, output=output, reasons=True))
    with serving(kind) as served:
        answer = served.predict(records=records(frame, LOANS), reasons=True)
    batch, expected = pd.read_parquet(output), scorer.reasons(frame)
    columns = ["probability", *(["decision"] if use.cutoff else [])]
    assert ("decision" in batch) == (use.cutoff is not None)
    for row, said in enumerate(answer["predictions"]):
        assert batch.loc[row, columns].to_dict() == said
        names = [code["column"] for code in answer["reasons"][row]]
        assert names == [reason.column for reason in expected[row]]
        told = [batch.loc[row, f"reason_{place}"] for place in range(1, 5)]
        assert [name for name in told if isinstance(name, str)] == names


def test_reasons_in_files_come_when_they_are_asked_for(home: Path, tmp_path: Path) -> None:
    register("net", _net(), table_example(LOANS, loans(3)), "champion")
    given, output = tmp_path / "loans.csv", tmp_path / "scored.csv"
    sample_loans(20, seed=11)[LOANS].to_csv(given, index=False)
    score_file(ScoreConfig(model="net", input=given, output=output))
    assert not [name for name in pd.read_csv(output) if str(name).startswith("reason_")]
    score_file(ScoreConfig(model="net", input=given, output=output, reasons=True))
    assert [name for name in pd.read_csv(output) if str(name).startswith("reason_")]
