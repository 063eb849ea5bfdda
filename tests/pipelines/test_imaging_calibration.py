"""Labels of calibration images set the temperature and prediction sets, and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from domains.fetching import file_hash
from models.imaging.scorer import ImagingScorer, load_scorer
from pipelines.steps.imaging.bases import find_bases
from pipelines.steps.imaging.evidence import chosen
from pipelines.steps.imaging.packing import FEWEST, pack
from pipelines.steps.imaging.prepare import prepare_images
from pipelines.steps.imaging.training import train_controls, train_finetune, train_transfer
from pipelines.tracking import open_job
from tests.domains.sample_images import write_manifest
from tests.pipelines.sample_imaging import config

pytestmark = pytest.mark.slow

PARTS = ["train", "train", "validation", "calibration", "test"]
TURNED = {"sick": "well", "well": "sick"}


@dataclass(frozen=True)
class Ended:
    """What a run ends in: by arm its validation score, hash of weights, and logits."""

    calibration: np.ndarray
    best: str
    validation: dict[str, float]
    weights: dict[str, str | None]
    logits: dict[str, np.ndarray]
    scorer: ImagingScorer
    answers: np.ndarray


def _run(folder: Path, turned: bool) -> Ended:
    """Two strategies and a control on 140 patients with a given split."""
    folder.mkdir()
    frame = write_manifest(folder, patients=140)
    patients = np.arange(len(frame)) // 2
    frame["split"] = [PARTS[patient // 2 % len(PARTS)] for patient in patients]
    mislabelled = patients % 7 == 0  # or temperatures of 0 would tie all answers
    frame.loc[mislabelled, "label"] = frame.loc[mislabelled, "label"].map(TURNED)
    if turned:
        there = frame["split"] == "calibration"
        frame.loc[there, "label"] = frame.loc[there, "label"].map(TURNED)
    frame.to_csv(folder / "manifest.csv", index=False)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", "split": "split"}
    keys = {"scale": "small", "strategy": ["transfer", "partial"], "epochs": 1, "image_size": 32}
    # whether bfloat16 is close enough is asked of calibrated probabilities, and so of these labels
    keys["precision"] = "float32"
    with open_job("imaging", config(folder, data=data, **keys)) as job:
        prepared = prepare_images.fn(job)
        bases = find_bases.fn(job, prepared)
        probes = train_transfer.fn(job, prepared, bases)
        tuned = train_finetune.fn(job, prepared, bases, probes)
        trained = [*probes, *tuned, *train_controls.fn(job, prepared)]
        best, target = chosen(trained), prepared.target
        scorer = load_scorer(pack(job, prepared, best))
        return Ended(
            target.labels()[target.rows("calibration")],
            best.name,
            {t.name: t.validation for t in trained},
            {t.name: t.net and file_hash(t.net) for t in trained},
            {t.name: np.load(t.logits) for t in trained},
            scorer,
            scorer.predict(target.images()[target.rows("test")])["p_well"].to_numpy(),
        )


@pytest.mark.usefixtures("known_key")
def test_labels_of_calibration_images_move_temperature_and_sets_alone(tmp_path: Path) -> None:
    plain, turned = _run(tmp_path / "plain", False), _run(tmp_path / "turned", True)
    assert len(plain.calibration) >= FEWEST
    assert (plain.calibration != turned.calibration).all()
    assert (plain.best, plain.validation) == (turned.best, turned.validation)
    assert plain.weights == turned.weights
    for name, logits in plain.logits.items():
        assert (logits == turned.logits[name]).all()
    assert plain.scorer.temperature != turned.scorer.temperature
    assert plain.scorer.sets != turned.scorer.sets
    assert plain.scorer.familiar is not None
    assert turned.scorer.familiar is not None
    for one, other in zip(
        plain.scorer.familiar.arrays().values(),
        turned.scorer.familiar.arrays().values(),
        strict=True,
    ):
        assert (one == other).all()
    assert (np.diff(turned.answers[np.argsort(plain.answers)]) >= 0).all()  # ranked alike
    assert (plain.answers != turned.answers).any()
