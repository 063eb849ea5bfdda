"""An outcome that boosted trees or a network of its own answer has one number in batch and HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.healthcare.patients import read_cohort
from models.multitask.boosting import boost
from models.multitask.named import network
from models.multitask.patched import BOOSTING, SINGLE, Patched
from models.multitask.scorer import PatientsScorer, predictions
from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig
from tests.domains.sample_patients import OUTCOMES, sample_patients
from tests.pipelines.serving.sample_service import (
    PATIENTS,
    patients_scorer,
    records,
    register,
    serving,
    table_example,
)

pytestmark = pytest.mark.slow


def _mixed() -> PatientsScorer:
    """Survival by trees, place by a network of its own, the rest shared."""
    whole = patients_scorer()
    cohort = read_cohort(sample_patients(), OUTCOMES, "f", patient="id")
    x, how = whole.encoder.ordinal(cohort.features), {"categorical": whole.encoder.categorical}
    codec = whole.codecs["survival"]
    y = codec.encode(cohort.targets.values["survival"])
    patched = Patched(whole.shape, whole.network, ("place",))
    patched.take(network("none", whole.shape))
    return replace(
        whole,
        network=patched.eval(),
        alone={"survival": BOOSTING, "place": SINGLE},
        boosted={"survival": boost(codec, x, y, seed=0, rounds=10, **how)},
    )


def test_what_answers_apart_answers_the_same_in_batch_and_over_http(
    home: Path, tmp_path: Path
) -> None:
    scorer, frame = _mixed(), sample_patients(60, seed=11)[PATIENTS]
    example = table_example(PATIENTS, records(sample_patients(3, seed=9), PATIENTS))
    register("patients", scorer, example, "champion")
    given, output = tmp_path / "new.csv", tmp_path / "scored.parquet"
    frame.to_csv(given, index=False)
    score_file(ScoreConfig(model="patients", input=given, output=output))
    with serving("patients") as served:
        answer = served.predict(records=records(frame, PATIENTS))
    batch, said = pd.read_parquet(output), pd.DataFrame(answer["predictions"])
    pd.testing.assert_frame_equal(batch[list(said)], said)
    trees = {"survival": scorer.boosted["survival"].logits(scorer.encoder.ordinal(frame))}
    expected = predictions({"survival": scorer.codecs["survival"]}, trees, scorer.calibrators)
    pd.testing.assert_frame_equal(said[list(expected)], expected)
    shared = patients_scorer().predict(frame)
    assert not np.allclose(said[list(expected)], shared[list(expected)])
