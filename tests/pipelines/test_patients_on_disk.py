"""The stages of the patients flow on a file too large for memory do what they do on a small one."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from domains import table_file
from models.checkpoint import Checkpoint
from models.multitask.coded import Coded
from pipelines.life import jobs
from pipelines.settings import load_config
from pipelines.steps.patients import inputs as kept
from pipelines.steps.patients.inputs import inputs
from pipelines.steps.patients.prepare import boosted_every, fetch_data, prepare
from pipelines.steps.patients.training import train_model
from pipelines.tracking import open_job
from tests.domains.sample_patients import sample_patients
from tests.pipelines.life.sample_jobs import only_crashed, taken_up

OUTCOMES = [
    {"name": "death", "kind": "binary", "column": "died"},
    {"name": "place", "kind": "multiclass", "column": "discharge"},
    {"name": "survival", "kind": "survival", "time": "time", "event": "event"},
]


def _run(folder: Path) -> dict[str, Any]:
    """What the first stages leave behind."""
    config = load_config("patients", folder / "job.yaml")
    with open_job("patients", config) as job:
        prepared = prepare.fn(job, fetch_data.fn(job))
        encoder, codecs = prepared.read_rules()
        records = inputs(prepared, "train", encoder, codecs)
        trained = train_model.fn(job, prepared)
        return {
            "rules": prepared.rules.read_text(),
            "split": prepared.split,
            "columns": prepared.dataset.columns,
            "unit": prepared.unit,
            "coded": isinstance(records.x, Coded),
            "inputs": torch.as_tensor(records.x[:]).numpy(),
            "weights": (job.folder / trained.name / "weights.safetensors").read_bytes(),
            "logits": trained.read("test", codecs),
        }


def _written(folder: Path) -> None:
    """Patients, and what is asked of them."""
    frame = sample_patients(1200).drop(columns=["id", "days"])
    frame.to_parquet(folder / "patients.parquet", row_group_size=333)
    values: dict[str, Any] = {
        "data": {"path": "patients.parquet", "public": True},
        "outcomes": OUTCOMES,
    }
    values |= {"scale": "tiny", "epochs": 2, "hidden": 8}
    (folder / "job.yaml").write_text(json.dumps(values))


def _too_large(patch: pytest.MonkeyPatch) -> None:
    """From now on these few records are too many for memory."""
    patch.setattr(table_file, "MOST_CELLS", 10)
    patch.setattr(table_file, "_PIECE", 100)
    patch.setattr(kept, "MOST_BYTES", 10)


def test_the_same_model_bit_by_bit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _written(tmp_path)
    at_once = _run(tmp_path)
    _too_large(monkeypatch)
    on_disk = _run(tmp_path)
    assert (at_once.pop("coded"), on_disk.pop("coded")) == (False, True)
    for name, answers in at_once.pop("logits").items():
        assert np.array_equal(answers, on_disk["logits"][name])
    assert np.array_equal(at_once.pop("inputs"), on_disk["inputs"])
    for key, value in at_once.items():
        assert on_disk[key] == value, key


def die_in_the_second_epoch(folder: Path) -> None:
    """Train from disk until a batch in the middle of it is asked for."""
    asked, batch = itertools.count(1), Coded.__getitem__

    def fatal(self: Coded, rows: torch.Tensor | slice) -> torch.Tensor:
        if isinstance(rows, torch.Tensor) and next(asked) == 20:  # of 12 an epoch
            os.kill(os.getpid(), signal.SIGKILL)
        return batch(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        _too_large(patch)
        patch.setattr(Coded, "__getitem__", fatal)
        patch.setattr(Checkpoint, "due", lambda _: True)
        _run(folder)


@pytest.mark.slow
def test_a_kill_amid_an_epoch_from_disk_costs_no_bit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _written(tmp_path)
    code = (
        "import sys; from pathlib import Path;"
        "from tests.pipelines.test_patients_on_disk import die_in_the_second_epoch;"
        "die_in_the_second_epoch(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2]
    )
    assert done.returncode == -signal.SIGKILL
    dead = only_crashed()
    (reached,) = (jobs.folder_of(dead.run_id) / "checkpoints").glob("*.safetensors")
    with safe_open(reached, framework="np") as state:
        assert "ended" not in json.dumps(state.metadata())
    _too_large(monkeypatch)
    with taken_up(dead.run_id):
        resumed = _run(tmp_path)
    whole = _run(tmp_path)
    assert resumed["weights"] == whole["weights"]
    for name, answers in whole["logits"].items():
        assert np.array_equal(answers, resumed["logits"][name])


def test_boosting_learns_from_a_hundred_thousand_records_at_most() -> None:
    for records, every in ((5_000, 1), (100_000, 1), (100_001, 2), (620_000, 7)):
        assert boosted_every({"train": {"records": records}}) == every
