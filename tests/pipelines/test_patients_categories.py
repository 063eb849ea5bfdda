"""Columns of codes declared as categories: levels, however a file or a request spells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.cohort.features import Category, Encoder
from domains.healthcare.cohort.table import table_one
from models.intake import Field, accept, accept_records
from pipelines.settings import PatientsConfig, load_config
from pipelines.steps.patients.groups import read_groups
from pipelines.steps.patients.prepare import Prepared, fetch_data, prepare
from pipelines.steps.patients.rows import rows_of
from pipelines.tracking import open_job
from tests.domains.sample_patients import sample_patients

DEATH = [{"name": "death", "kind": "binary", "column": "died"}]
_RACES = np.random.default_rng(1).integers(1, 13, 900)
OWN = sample_patients()[["id", "age", "lab", "died"]].assign(race=_RACES)
RACES = tuple(sorted(str(code) for code in range(1, 13)))


def _config(
    folder: Path, frame: pd.DataFrame, name: str = "own.csv", data: Any = None, **keys: Any
) -> PatientsConfig:
    _write(frame, folder / name)
    data = {"path": name, "patient": "id", "public": True, "categories": ["race"], **(data or {})}
    values = {"data": data, "outcomes": DEATH, "scale": "small", **keys}
    (folder / "job.yaml").write_text(json.dumps(values))
    config = load_config("patients", folder / "job.yaml")
    assert isinstance(config, PatientsConfig)
    return config


def _write(frame: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)


def _rules(config: PatientsConfig) -> tuple[Encoder, Prepared, list[tuple[str, str]]]:
    """The rules, and the lines of Table 1, while the job's folder is there."""
    with open_job("patients", config) as job:
        prepared: Prepared = prepare.fn(job, fetch_data.fn(job))
        encoder, codecs = prepared.read_rules()
        parts = {part: prepared.read(part) for part in prepared.split}
        lines = table_one(parts, encoder, codecs, public=True)
        if config.slices:
            assert set(read_groups(prepared.records)["race"]) == set(RACES)
        return encoder, prepared, [(line.name, line.level) for line in lines]


def _race(encoder: Encoder) -> Category:
    (found,) = [feature for feature in encoder.features if feature.name.startswith("race")]
    assert isinstance(found, Category)
    return found


def test_codes_are_levels_however_a_file_spells_them(home: Path, tmp_path: Path) -> None:
    found = []
    for name, frame in {
        "own.csv": OWN,
        "padded.csv": OWN.assign(race=OWN["race"].map("{:02d}".format)),
        "whole.parquet": OWN,
        "float.parquet": OWN.assign(race=OWN["race"].astype(float)),
        "text.parquet": OWN.assign(race=OWN["race"].astype(str)),
    }.items():
        encoder, _, lines = _rules(_config(tmp_path, frame, name, slices=["race"]))
        assert _race(encoder).levels == RACES
        assert [level for column, level in lines if column == "race"] == [*RACES]
        found.append(encoder.to_json())
    assert all(each == found[0] for each in found)
    plain, _, lines = _rules(_config(tmp_path, OWN, data={"categories": []}))
    assert not isinstance(plain.features[-1], Category)
    assert ("race", "") in lines


def test_a_number_and_its_text_are_scored_alike(home: Path, tmp_path: Path) -> None:
    encoder, _, _ = _rules(_config(tmp_path, OWN))
    fields = [
        Field(f.name, "text" if isinstance(f, Category) else "number") for f in encoder.features
    ]
    known = [[{"age": 60, "lab": 1, "race": race} for race in (code, code + 1)] for code in (1, 98)]
    rows = [row for pair in known for row in pair]
    spelled = [[{**row, "race": spell(row["race"])} for row in rows] for spell in (int, float, str)]
    codes = [encoder.code(accept_records(each, fields).frame) for each in spelled]
    frame = pd.DataFrame(rows)
    for column in (frame["race"], frame["race"].astype(float), frame["race"].astype(str)):
        codes.append(encoder.code(accept(frame.assign(race=column), fields).frame))
    assert all(np.array_equal(each, codes[0]) for each in codes)
    assert encoder.unseen(codes[0], frame)["race"].tolist() == [0, 0, 1, 1]


def test_codes_in_visits_have_a_last_value_and_no_trend(home: Path, tmp_path: Path) -> None:
    visits = sample_patients(900, visits=3)[["id", "age", "died"]].assign(race=_RACES)
    visits["day"] = np.tile([0.0, 400.0, 800.0], 300)
    visits["died"] = visits.groupby("id")["died"].transform("max")
    data = {"visits": {"time": "day", "until": 500}}
    for name in ("own.csv", "own.parquet"):
        config = _config(tmp_path, visits, name, data)
        encoder, _, _ = _rules(config)
        assert {"race.last", "age.trend"} <= set(encoder.columns)
        assert "race.trend" not in encoder.columns
        (last,) = [f for f in encoder.features if f.name == "race.last"]
        assert isinstance(last, Category)
        assert last.levels == RACES
        _write(visits.drop(columns="died").head(30), tmp_path / "new.parquet")
        assert set(rows_of(config, tmp_path / "new.parquet")["race.last"]) <= set(RACES)


def test_an_external_file_has_the_same_codes(home: Path, tmp_path: Path) -> None:
    there = sample_patients(200, seed=7)[["id", "age", "lab", "died"]]
    codes = np.random.default_rng(2).integers(1, 13, 200)
    _write(there.assign(race=codes.astype(str)), tmp_path / "there.parquet")
    test = {"path": "there.parquet"}
    _, prepared, lines = _rules(_config(tmp_path, OWN, test=test))
    assert prepared.split["external"]["records"] == 200
    assert ("race", "other") not in lines
    _write(there.assign(race=codes + 100), tmp_path / "there.parquet")
    with pytest.raises(InputError, match=r"column race holds categories of which the data have h"):
        _rules(_config(tmp_path, OWN, test=test))


@pytest.mark.parametrize(
    ("data", "keys", "said"),
    [
        ({"categories": ["rase"]}, {}, r"data\.categories: no column 'rase'; did you mean race"),
        ({"categories": ["died"]}, {}, r"data\.categories: died is column of outcome death"),
        ({"categories": ["id"]}, {}, r"data\.categories: id is data\.patient"),
        ({"categories": ["lab"]}, {"exclude": ["lab"]}, r"lab is listed under exclude"),
        ({"categories": ["age"], "site": "age"}, {}, r"age is data\.site"),
        ({"categories": ["lab"]}, {}, r"column lab holds another value in nearly every row"),
        ({"categories": ["old"]}, {}, r"column old holds true and false"),
        ({"path": None, "name": "nafld", "patient": None}, {}, "for a file of your own"),
    ],
)
def test_what_cannot_be_declared_is_refused_in_one_line(
    data: dict[str, Any], keys: dict[str, Any], said: str, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        _rules(_config(tmp_path, OWN.assign(old=OWN["age"] > 60), data=data, **keys))
    assert "\n" not in str(raised.value)
