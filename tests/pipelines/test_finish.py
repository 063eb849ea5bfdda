"""The end of a job: all of a registration or none of it, and never a deleted champion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect.client.schemas.actions import ArtifactCreate

from domains.errors import InputError
from pipelines import finish
from pipelines.evidence import Arm, Evidence
from pipelines.governance import held_out, registry
from pipelines.governance.gate import Verdict
from pipelines.governance.held_out import Answers, HeldOut, HeldOutcome
from pipelines.settings import load_config
from pipelines.tracking import Job, open_job

OUTCOME = HeldOutcome("default", "auroc", ("default",), ("probability",))
PASSED = Verdict((), ahead=True)


def _evidence(public: bool = True) -> Evidence:
    data: dict[str, Any] = {"name": "sba", "digest": "sha256:0", "rows": 9, "public": public}
    metrics = {"auroc": 0.8, "auroc_low": 0.7, "auroc_high": 0.9}
    return Evidence("credit", "a headline", data, {}, metrics, [Arm("alone", "control", {}, 1.0)])


def _held() -> tuple[HeldOut, Answers]:
    y, ids = np.array([0.0, 1.0] * 40), np.arange(80)
    held = HeldOut(None, {"default": y}, ids, ids, (OUTCOME,), "split")
    return held, held_out.answers(held, pd.DataFrame({"probability": y * 0.5 + 0.2}))


def _register(job: Job) -> dict[str, Any]:
    held, answered = _held()
    version = registry.create_version(job.name, f"file://{job.folder}", job.run_id, {})
    return finish._settle(job, _evidence(), version, answered, held)


@pytest.fixture
def passing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "judge", lambda *_: PASSED)


@pytest.mark.usefixtures("passing")
def test_what_fails_before_the_move_leaves_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise InputError("the report could not be written")

    monkeypatch.setattr(finish, "_write_report", broken)
    with pytest.raises(InputError), open_job("credit", load_config("credit")) as job:
        _register(job)
    assert registry.list_versions() == []


@pytest.mark.usefixtures("passing")
def test_what_fails_after_the_move_leaves_the_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "aliases", broken)
    with pytest.raises(KeyboardInterrupt), open_job("credit", load_config("credit")) as job:
        _register(job)
    assert registry.list_versions() == [("credit-sba", "1", ["champion"])]
    assert (home_reports(job) / "report.html").exists()


@pytest.mark.usefixtures("passing")
def test_result_names_the_alias_that_the_verdict_gave() -> None:
    with open_job("credit", load_config("credit")) as job:
        result = _register(job)
    assert result["model"] == {"name": "credit-sba", "version": "1", "aliases": ["champion"]}
    assert result["gate"]["promoted"] is True
    assert set(result["seconds"]) == {"total", "training", "orchestration"}


def home_reports(job: Job) -> Path:
    """Where the job's report stays."""
    from pipelines.tracking import reports_folder

    return reports_folder(job.run_id)


@pytest.mark.parametrize("name", ["imaging-Röntgen Ä", "肺", "patients-a.b_c", "credit-sba"])
def test_any_name_has_a_key_that_prefect_takes(name: str) -> None:
    artifact = ArtifactCreate(key=f"{finish.artifact_key(name)}-card")
    assert artifact.key == f"{finish.artifact_key(name)}-card"
