"""Ways of sharing and balancing, added ones too, from a configuration file alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.errors import InputError
from models.multitask import balancing as balancing_folder
from models.multitask import sharing as sharing_folder
from models.multitask.named import BALANCING, SHARING
from models.multitask.scorer import load_scorer
from pipelines.settings import load_config
from pipelines.steps.patients.prepare import Prepared, fetch_data, prepare
from pipelines.steps.patients.training import train_model
from pipelines.tracking import Job, open_job
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind

GROUPS = [["death", "place", "stay"], ["survival", "relapse"], ["grade", "falls"]]
RECONCILING = ("pcgrad", "upgrad")
NONSENSE = {("none", name) for name in BALANCING if name != "equal"}
NONSENSE |= {("soft", name) for name in RECONCILING}


def _written(folder: Path, **keys: Any) -> Path:
    """The file alone: outcomes of every kind, one epoch."""
    outcomes = [
        {k: v for k, v in o.to_json().items() if v not in ([], None, "none", "hazard")}
        for o in EVERY_KIND
    ]
    data = {"path": "patients.csv", "patient": "id", "public": True}
    values = {"data": data, "outcomes": outcomes, "scale": "tiny", "epochs": 1, "hidden": 8}
    (folder / "job.yaml").write_text(json.dumps({**values, **keys}))  # JSON is YAML
    return folder / "job.yaml"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Job, Prepared, Path]]:
    """Records as every pair takes them: how outcomes share has no say in that."""
    folder = tmp_path_factory.mktemp("pairs")
    patients_of_every_kind(400).to_csv(folder / "patients.csv", index=False)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        with open_job("patients", load_config("patients", _written(folder))) as job:
            yield job, prepare.fn(job, fetch_data.fn(job)), folder


def _trained(prepared: tuple[Job, Prepared, Path], scratch: Path, **keys: Any) -> tuple[str, Path]:
    """What is said of the network, and the folder it is packed in."""
    job, records, folder = prepared
    config = load_config("patients", _written(folder, **keys))
    scratch.mkdir(exist_ok=True)
    found = train_model.fn(replace(job, config=config, folder=scratch), records)
    return found.note, scratch / found.name


@pytest.mark.parametrize("pair", product(SHARING, BALANCING), ids=" x ".join)
def test_every_pair_that_makes_sense_runs_from_the_file_alone(
    pair: tuple[str, str], prepared: tuple[Job, Prepared, Path], tmp_path: Path
) -> None:
    sharing, balancing = pair
    keys: dict[str, Any] = {"groups": GROUPS} if sharing == "groups" else {}
    if pair in NONSENSE:
        with pytest.raises(InputError, match=f"balancing: {balancing} .* sharing {sharing}"):
            _trained(prepared, tmp_path / "job", sharing=sharing, balancing=balancing, **keys)
        return
    note, package = _trained(
        prepared, tmp_path / "job", sharing=sharing, balancing=balancing, **keys
    )
    assert note.endswith(f"losses balanced: {balancing}")
    answers = load_scorer(package).predict(patients_of_every_kind(20, seed=5))
    assert np.isfinite(answers.to_numpy(dtype=float)).all()


@pytest.mark.parametrize(
    ("sharing", "setting", "value", "said"),
    [
        ("mmoe", "experts", 0, "experts: found 0, expected a whole number from 1"),
        ("mmoe", "experts", 2.5, "experts: found 2.5, expected a whole number from 1"),
        ("soft", "tie", -1, "tie: found -1, expected 0 or more"),
        ("cross-stitch", "own", 1.2, "own: found 1.2, expected 0 to 1"),
        ("hard", "tie", 1, "tie: no setting of sharing hard, which has: none"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_any_record_is_read(
    sharing: str, setting: str, value: float, said: str
) -> None:
    keys = [f"sharing={sharing}", f"sharing_settings.{setting}={value}"]
    with pytest.raises(InputError, match=f"sharing_settings.{said}"):
        load_config("patients", overrides=keys)
    if sharing != "hard":
        assert load_config("patients", overrides=[keys[0], f"sharing_settings.{setting}=1"])


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["death", "place"], ["death", *GROUPS[1], *GROUPS[2]]], "death is named 2 times"),
        ([GROUPS[0], GROUPS[1]], "grade is named 0 times"),
        ([*GROUPS, ["deth"]], "there is no outcome deth, expected each of death, place"),
        ([*GROUPS, []], "one of them is empty"),
    ],
)
def test_groups_that_are_none_are_refused_before_a_record_is_written(
    groups: list[list[str]], said: str, prepared: tuple[Job, Prepared, Path], tmp_path: Path
) -> None:
    job, _, folder = prepared
    config = load_config("patients", _written(folder, sharing="groups", groups=groups))
    with pytest.raises(InputError, match=f"groups: .*{said}"):
        prepare.fn(replace(job, config=config, folder=tmp_path), folder / "patients.csv")
    assert not list(tmp_path.rglob("*.parquet"))


AVERAGED = """
import torch
from models.multitask.sharing.network import Network
from models.multitask.trunk import Trunk, heads


class Averaged(Network):
    told = "some trunks, averaged"

    def __init__(self, shape, *, trunks: int = 2):
        super().__init__(shape)
        self.trunks = torch.nn.ModuleList(Trunk(shape) for _ in range(int(trunks)))
        self.heads = heads(shape)

    def forward(self, x):
        mean = torch.stack([trunk(x) for trunk in self.trunks]).mean(dim=0)
        return dict(zip(self.names, self.heads(mean), strict=True))

    def shared(self):
        return list(self.trunks.parameters())
"""
WORST = """
from models.multitask.balancing.balance import Balance


class Worst(Balance):
    def forward(self, losses, network):
        return self.count * losses.max()
"""


def test_one_more_way_is_one_file_and_one_line(
    prepared: tuple[Job, Prepared, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, name, code in (
        (sharing_folder, "averaged", AVERAGED),
        (balancing_folder, "worst", WORST),
    ):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    keys: dict[str, Any] = {"sharing": "averaged", "sharing_settings": {"trunks": 3}}
    with pytest.raises(InputError, match="sharing: found 'averaged', expected one of none, hard"):
        _trained(prepared, tmp_path / "job", **keys)
    monkeypatch.setitem(SHARING, "averaged", "averaged.Averaged")
    monkeypatch.setitem(BALANCING, "worst", "worst.Worst")
    note, package_ = _trained(prepared, tmp_path / "job", **keys, balancing="worst")
    assert note == "some trunks, averaged; losses balanced: worst"
    scorer = load_scorer(package_)
    assert "trunks.2.blocks.0.0.weight" in scorer.network.state_dict()
    rows = patients_of_every_kind(20, seed=5)
    assert np.isfinite(scorer.predict(rows).to_numpy(dtype=float)).all()
    for balancing in RECONCILING:
        _trained(prepared, tmp_path / balancing, **keys, balancing=balancing)
