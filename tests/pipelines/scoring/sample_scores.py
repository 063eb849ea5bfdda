"""Files scored without a flow."""

from __future__ import annotations

from pathlib import Path

from pipelines.scoring.batch import Result, score_file
from pipelines.settings import ScoreConfig
from tests.pipelines.governance.sample_versions import LOANS


def score(source: Path, output: Path, model: str = LOANS, **options: object) -> Result:
    return score_file(
        ScoreConfig.model_validate({"model": model, "input": source, "output": output, **options})
    )
