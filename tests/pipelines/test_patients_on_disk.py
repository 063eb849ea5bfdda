"""The stages of the patients flow on a file too large for memory do what they do on a small one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from domains import table_file
from models.multitask.coded import Coded
from pipelines.settings import load_config
from pipelines.steps.patients import inputs as kept
from pipelines.steps.patients.inputs import inputs
from pipelines.steps.patients.prepare import boosted_every, fetch_data, prepare
from pipelines.steps.patients.training import train_model
from pipelines.tracking import open_job
from tests.domains.sample_patients import sample_patients

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


def test_the_same_model_bit_by_bit(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = sample_patients(1200).drop(columns=["id", "days"])
    frame.to_parquet(tmp_path / "patients.parquet", row_group_size=333)
    values: dict[str, Any] = {
        "data": {"path": "patients.parquet", "public": True},
        "outcomes": OUTCOMES,
    }
    values |= {"scale": "tiny", "epochs": 2, "hidden": 8}
    (tmp_path / "job.yaml").write_text(json.dumps(values))
    at_once = _run(tmp_path)
    monkeypatch.setattr(table_file, "MOST_CELLS", 10)
    monkeypatch.setattr(table_file, "_PIECE", 100)
    monkeypatch.setattr(kept, "MOST_BYTES", 10)
    on_disk = _run(tmp_path)
    assert (at_once.pop("coded"), on_disk.pop("coded")) == (False, True)
    for name, answers in at_once.pop("logits").items():
        assert np.array_equal(answers, on_disk["logits"][name])
    assert np.array_equal(at_once.pop("inputs"), on_disk["inputs"])
    for key, value in at_once.items():
        assert on_disk[key] == value, key


def test_boosting_learns_from_a_hundred_thousand_records_at_most() -> None:
    for records, every in ((5_000, 1), (100_000, 1), (100_001, 2), (620_000, 7)):
        assert boosted_every({"train": {"records": records}}) == every
