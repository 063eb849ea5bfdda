"""Training processes that are really killed, and what is left once they were taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmarks import _work, faults
from benchmarks._fork import Moment
from pipelines.governance import registry
from pipelines.tracking import client
from tests.domains.sample_loans import sample_loans
from tests.domains.sample_patients import sample_patients

pytestmark = pytest.mark.slow
SEED = 20


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[faults.Bench]:
    with faults.bench(tmp_path_factory.mktemp("faults")) as opened:
        yield opened


def _credit(folder: Path) -> dict[str, Any]:
    sample_loans(600).to_csv(folder / "public.csv", index=False)
    return {
        "data": {"path": str(folder / "public.csv"), "name": "open", "public": True},
        "target": {"column": "defaulted", "positive": 1},
        "clients": {"column": "bank"},
        "exclude": ["approved"],
        "privacy": None,
        "controls": "none",
        "rounds": 8,
        "local_steps": 20,
    }


def _patients(folder: Path) -> dict[str, Any]:
    sample_patients(visits=2).to_csv(folder / "visits.csv", index=False)
    return {
        "data": {"path": str(folder / "visits.csv"), "patient": "id", "public": True},
        "outcomes": [
            {"name": "death", "kind": "binary", "column": "died"},
            {"name": "stay", "kind": "regression", "column": "days", "missing": [-1]},
        ],
        "scale": "tiny",
    }


def _imaging(_: Path) -> dict[str, Any]:
    return {"scale": "tiny", "strategy": "finetune", "controls": "none"}


PIPELINES = {
    "credit": (_credit, "train_federated"),
    "patients": (_patients, "train_model"),
    "imaging": (_imaging, "train_finetune"),
}
"""Configuration, and the stage that is cut short: its training done, its result not written."""


def _outcome(home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run has returned, and the weights that it has registered."""
    monkeypatch.setenv("CARELEDGER_HOME", str(home))
    client()  # points MLflow at this home
    result = json.loads((home / _work.RESULT).read_text())
    model = result["model"]
    package = registry.package_folder(model["name"], model["version"])
    files = sorted(package.rglob("*.safetensors"))
    weights = {f"{file.name} {k}": v for file in files for k, v in load_file(file).items()}
    assert weights
    return result, weights


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_killed_run_ends_where_an_uninterrupted_one_does(
    pipeline: str, tools: faults.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cut = PIPELINES[pipeline]
    words: dict[str, Any] = {"pipeline": pipeline, "config": config(tools.folder)}
    homes = tools.new_home(), tools.new_home()
    assert tools.run("train", homes[0], **words).how == "done"
    moment = Moment(touch=2, of=f"-{cut}.")
    assert tools.run("train", homes[1], moment, **words).how == "killed"
    assert tools.run("resume", homes[1]).how == "done"
    (one, weights), (other, resumed) = (_outcome(home, monkeypatch) for home in homes)
    assert one["metrics"] == other["metrics"]
    assert one["controls"] == other["controls"]
    assert one["gate"] == other["gate"]
    assert weights.keys() == resumed.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(values, resumed[name], err_msg=name)


def test_ten_kill_points_leave_one_version_one_word_and_every_charge(tools: faults.Bench) -> None:
    tally = faults.train(tools, 10, SEED)
    assert tally.wrong == []
    assert tally.points == 10
    assert tally.resumed == tally.killed >= 5


def test_a_few_kill_points_of_a_ledger_lose_no_charge(tools: faults.Bench) -> None:
    tally = faults.ledger(tools, 6, SEED)
    assert tally.wrong == []
    assert tally.resumed == tally.killed >= 3


def test_a_forgotten_round_would_be_found_out() -> None:
    found = {
        "noised": {"North": {"steps": 12, "setup": 1}, "South": {"steps": 10, "setup": 1}},
        "charged": {"North": {"steps": 11, "setup": 1}, "South": {"steps": 10, "setup": 2}},
    }
    assert faults._short(found) == 1
