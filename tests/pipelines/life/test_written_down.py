"""What a job has written down comes back as it was, or is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domains.errors import InputError
from pipelines.life import jobs, lives
from pipelines.settings import load_config
from pipelines.stages import stage
from pipelines.tracking import Job, open_job
from tests.pipelines.life.sample_jobs import die, only_crashed, take_up

pytestmark = pytest.mark.usefixtures("home")


def test_what_other_code_has_written_is_not_guessed_at() -> None:
    run_id = die()
    (kept,) = jobs.stages_folder(jobs.folder_of(run_id)).glob("*.json")
    kept.write_text(json.dumps({"class": "Other"}))
    with pytest.raises(InputError, match="cannot be read by this version of the code"):
        take_up(run_id, lambda _: None)


def test_a_stage_cannot_hand_on_what_does_not_come_back() -> None:
    @stage()
    def wrong(_: Job) -> int:
        return "text"  # type: ignore[return-value]

    with pytest.raises(InputError, match="01-wrong"), _opened() as job:
        wrong.fn(job)


def _opened() -> Any:
    return open_job("credit", load_config("credit"))


CREDIT = {
    "data": {"path": "a.csv", "name": "a", "date": "day", "approved": ["2001-02-03", "2004-05-06"]},
    "target": {"column": "y", "positive": 1},
    "clients": {"count": 2},
    "bounds": {"x": [0, 1]},
    "privacy": {"epsilon": 1, "delta": 1e-5},
}
PATIENTS = {
    "data": {"path": "a.csv", "patient": "id"},
    "outcomes": [
        {"name": "death", "kind": "binary", "column": "died"},
        {"name": "stay", "kind": "regression", "column": "days", "missing": [-1]},
        {"name": "time", "kind": "survival", "time": "days", "event": "died", "horizons": [5]},
    ],
}
IMAGING = {"data": {"kind": "folder", "path": "scans"}, "strategy": ["finetune"]}


@pytest.mark.parametrize(
    ("pipeline", "values"), [("credit", CREDIT), ("patients", PATIENTS), ("imaging", IMAGING)]
)
def test_a_configuration_comes_back_as_it_was(
    pipeline: str, values: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "job.json").write_text(json.dumps(values))
    config = load_config(pipeline, tmp_path / "job.json")
    with open_job(pipeline, config) as job:
        record = json.loads((job.folder / "job.json").read_text())
        assert type(config).model_validate(record["config"]) == config
        assert oct(job.folder.stat().st_mode & 0o777) == "0o700"


def test_a_configuration_of_other_code_is_named() -> None:
    run_id = die()
    record = jobs.read(jobs.folder_of(run_id))
    jobs.write(replace(record, config={"no such key": 1}))
    with pytest.raises(InputError, match="none that this version of the code takes"):
        lives.resume(run_id)
    assert only_crashed().attempts == 1
