"""A scorecard answers over HTTP what it answers in batch: probability, score and reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from models.credit_decision import Cutoff, Use
from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig
from tests.domains.sample_loans import sample_loans
from tests.models.sample_card import sample_card
from tests.pipelines.serving.sample_service import (
    LOANS,
    loans,
    records,
    register,
    serving,
    table_example,
)

pytestmark = pytest.mark.slow


def test_points_and_reasons_are_the_same_in_batch_and_over_http(home: Path, tmp_path: Path) -> None:
    card = replace(sample_card(), use=Use(Cutoff(0.7, 0.4)))
    register("cards", card, table_example(LOANS, loans(3)), "champion")
    frame = sample_loans(200, seed=11)[LOANS]
    given, output = tmp_path / "loans.csv", tmp_path / "scored.parquet"
    frame.assign(amount=frame["amount"].astype(object).where(frame.index != 7, "much")).to_csv(
        given, index=False
    )
    score_file(ScoreConfig(model="cards", input=given, output=output))
    batch = pd.read_parquet(output)
    with serving("cards") as served:
        answer = served.predict(records=records(frame, LOANS), reasons=True)
        _, described, _ = served.ask("GET", "/openapi.json")
    assert batch.loc[7, ["probability", "score", "decision", "reason_1"]].isna().all()
    assert {*batch["decision"].dropna()} == {"approve", "decline"}
    for row, said in enumerate(answer["predictions"]):
        if row == 7:
            continue
        assert batch.loc[row, ["probability", "score", "decision"]].to_dict() == said
        names = [code["column"] for code in answer["reasons"][row]]
        told = [batch.loc[row, f"reason_{place}"] for place in range(1, 5)]
        assert [name for name in told if isinstance(name, str)] == names
        assert all(code["points"] > 0 for code in answer["reasons"][row])
    assert "points" in described["components"]["schemas"]["ReasonCode"]["properties"]
