"""Outcomes that pull against each other: drawn, said, grouped apart, and the groups tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.multitask.grouping import proposed
from models.multitask.scorer import load_scorer
from pipelines.settings import load_config
from pipelines.steps.patients import interference
from pipelines.steps.patients.prepare import Prepared, fetch_data, prepare
from pipelines.steps.patients.training import Trained, train_controls, train_model
from pipelines.tracking import Job, open_job
from tests.domains.sample_patients import sample_patients

NAMES = ["death", "place", "smoker"]
OPPOSED = np.array([[1, 0.4, -0.5], [0.4, 1, -0.3], [-0.5, -0.3, 1]], dtype=np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Job, Prepared, Trained]]:
    folder = tmp_path_factory.mktemp("interference")
    sample_patients(500).to_csv(folder / "t.csv", index=False)
    columns = dict(zip(NAMES, ["died", "discharge", "smoker"], strict=True))
    outcomes = [
        {"name": name, "kind": "multiclass" if name == "place" else "binary", "column": column}
        for name, column in columns.items()
    ]
    values: dict[str, Any] = {
        "data": {"path": "t.csv", "patient": "id", "public": True},
        "exclude": ["days", "time", "event"],
        "outcomes": outcomes,
        "scale": "tiny",
        "epochs": 4,
        "hidden": 8,
    }
    (folder / "job.yaml").write_text(json.dumps(values))  # JSON is YAML
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        with open_job("patients", load_config("patients", folder / "job.yaml")) as job:
            prepared = prepare.fn(job, fetch_data.fn(job))
            yield job, prepared, train_model.fn(job, prepared)


def _with(model: Trained, folder: Path, angles: np.ndarray) -> Trained:
    """The same model, as if gradients had stood so in each of three epochs."""
    path = folder / "angles.npy"
    np.save(path, np.stack([angles] * 3))
    return replace(model, cosines=path)


def test_gradients_are_those_of_training_epoch_after_epoch(
    trained: tuple[Job, Prepared, Trained],
) -> None:
    angles = trained[2].angles()
    assert 1 <= len(angles) <= 3  # after the 1st, the 2nd and the 4th of four
    assert angles.shape[1:] == (3, 3)
    assert np.allclose(np.diagonal(angles, axis1=1, axis2=2), 1, atol=1e-5)


def test_proposed_groups_are_tried_as_a_control(
    trained: tuple[Job, Prepared, Trained], tmp_path: Path
) -> None:
    job, prepared, model = trained
    controls = train_controls.fn(job, prepared, _with(model, tmp_path, OPPOSED))
    tried = {control.name: control for control in controls}
    assert list(tried) == ["grouped", "single-task", "boosting"]
    assert tried["grouped"].note == "hard sharing within death + place | smoker"
    network = load_scorer(job.folder / "grouped").network
    assert [part.names for part in network.independent()] == [("death", "place"), ("smoker",)]
    _, codecs = prepared.read_rules()
    shared = model.read("test", codecs)
    assert not np.allclose(tried["grouped"].read("test", codecs)["smoker"], shared["smoker"])


def test_what_opposes_is_said_and_drawn_through_training(
    trained: tuple[Job, Prepared, Trained], tmp_path: Path
) -> None:
    model = _with(trained[2], tmp_path, OPPOSED)
    pulls, groups = interference.findings(model, NAMES)
    assert pulls == (
        "Gradients of 2 of 3 pairs of outcomes oppose each other: death and smoker (-0.50), "
        "place and smoker (-0.30)."
    )
    assert groups.endswith("tried as a control: death, place | smoker.")
    drawn = interference.figures(tmp_path, model, NAMES)
    assert [figure.name for figure in drawn] == ["gradients", "gradients-through"]
    assert all(figure.path.stat().st_size > 5000 for figure in drawn)
    assert drawn[1].caption.startswith("All pairs, the ones that oppose each other most on top")


def test_outcomes_that_agree_or_share_nothing_propose_no_groups(
    trained: tuple[Job, Prepared, Trained], tmp_path: Path
) -> None:
    model = trained[2]
    assert interference.findings(_with(model, tmp_path, np.abs(OPPOSED)), NAMES) == [
        "Gradients of all 3 pairs of outcomes agree on average."
    ]
    apart = replace(model, cosines=None)
    assert interference.findings(apart, NAMES) == []
    assert interference.figures(tmp_path, apart, NAMES) == []


def test_groups_are_drawn_within_themselves(
    trained: tuple[Job, Prepared, Trained], tmp_path: Path
) -> None:
    """Between groups nothing is shared: nothing is said of it, and no other groups are proposed."""
    apart = OPPOSED.copy()
    apart[:2, 2] = apart[2, :2] = np.nan
    model = _with(trained[2], tmp_path, apart)
    assert interference.findings(model, NAMES) == [
        "Gradients of the one pair of outcomes agree on average."
    ]
    drawn = interference.figures(tmp_path, model, NAMES)
    assert all(figure.path.stat().st_size > 3000 for figure in drawn)
    assert proposed(apart, NAMES) == (tuple(NAMES),)


def test_of_many_pairs_those_that_oppose_most_are_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"o{place}" for place in range(8)]
    rows = rng.normal(size=(3, 8, 4))
    unit = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    np.save(tmp_path / "angles.npy", unit @ unit.transpose(0, 2, 1))
    model = Trained("shared", "arm", "", 0.0, tmp_path, cosines=tmp_path / "angles.npy")
    through = interference.figures(tmp_path, model, names)[1]
    assert through.caption.startswith("The 12 of 28 pairs that oppose each other most")
