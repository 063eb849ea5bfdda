"""Trees answer over HTTP what they answer in batch, with reasons beside it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from models.credit import CreditScorer
from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig
from tests.domains.sample_loans import sample_loans
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


def test_answers_are_the_same_in_batch_and_over_http(home: Path, tmp_path: Path) -> None:
    scorer = CreditScorer(ENCODER, grown(banks()), 0.9, -0.2)
    register("trees", scorer, table_example(LOANS, loans(3)), "champion")
    frame = sample_loans(100, seed=11)[LOANS]
    given, output = tmp_path / "loans.csv", tmp_path / "scored.parquet"
    frame.to_csv(given, index=False)
    score_file(ScoreConfig(model="trees", input=given, output=output))
    with serving("trees") as served:
        answer = served.predict(records=records(frame, LOANS), reasons=True)
    batch, expected = pd.read_parquet(output), scorer.reasons(frame)
    for row, said in enumerate(answer["predictions"]):
        assert batch.loc[row, "probability"] == said["probability"]
        names = [code["column"] for code in answer["reasons"][row]]
        assert names == [reason.column for reason in expected[row]]
