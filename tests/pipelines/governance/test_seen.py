"""Which versions saw a record: those whose training had it and no others, and never its id."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from domains.errors import InputError
from domains.healthcare.images.split import PARTS
from pipelines.commands import models
from pipelines.governance import registry, seen
from pipelines.settings import load_config
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.prepare import prepare as prepare_loans
from pipelines.steps.imaging.prepare import prepare_images
from pipelines.steps.patients.prepare import fetch_data
from pipelines.steps.patients.prepare import prepare as prepare_patients
from pipelines.tracking import Job, client, open_job
from tests.domains.sample_images import write_folder, write_manifest
from tests.domains.sample_loans import sample_loans
from tests.domains.sample_patients import sample_patients

OUTCOMES = [{"name": "death", "kind": "binary", "column": "died"}]


@pytest.fixture(autouse=True)
def _at_home(home: Path) -> None:
    """Every test has trainings of its own, and a known key: it splits private images."""
    (home / "key").write_bytes(bytes(range(32)))


def _job(run_id: str = "0f", name: str = "credit-a") -> Any:
    return SimpleNamespace(run_id=run_id, name=name, pipeline="credit")


def _version(job: Job) -> str:
    uri = client().get_run(job.run_id).info.artifact_uri
    return registry.create_version(job.name, uri, job.run_id, {})


def test_patients_are_found_by_their_id_in_the_part_they_fell_in(tmp_path: Path) -> None:
    frame = sample_patients(visits=2)
    frame.to_csv(tmp_path / "visits.csv", index=False)
    sample_patients(100, seed=7).assign(id=lambda d: "x" + d["id"].astype(str)).to_csv(
        tmp_path / "elsewhere.csv", index=False
    )
    keys = {
        "data": {"path": "visits.csv", "patient": "id", "public": True},
        "outcomes": OUTCOMES,
        "test": {"path": "elsewhere.csv"},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(keys))
    with open_job("patients", load_config("patients", tmp_path / "job.yaml")) as job:
        prepared = prepare_patients.fn(job, fetch_data.fn(job))
        version = _version(job)
        training = prepared.read("train").patients
    [sight] = seen.sights([f" {training[0]} "])
    assert (sight.model, sight.version, sight.part) == ("patients-visits", version, "train")
    external = f"x{sample_patients(100, seed=7)['id'].iloc[0]}"
    assert [s.part for s in seen.sights([external])] == ["external"]
    assert seen.sights(["nobody"]) == []


def test_images_are_found_by_path_and_by_patient_and_source_images_too(tmp_path: Path) -> None:
    write_manifest(tmp_path, patients=70, each=2)
    write_folder(tmp_path / "source", each=60)
    keys = {
        "scale": "tiny",
        "data": {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", "name": "a"},
        "source": {"kind": "folder", "path": "source", "name": "shapes"},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(keys))
    with open_job("imaging", load_config("imaging", tmp_path / "job.yaml")) as job:
        prepared = prepare_images.fn(job)
        assert prepared.source is not None
        row, other = prepared.target.used().iloc[0], prepared.source.used().iloc[0]["id"]
    for unit in (row["id"], row["patient"]):
        assert [(s.part, s.data) for s in seen.sights([unit])] == [(row["part"], "a")]
    assert [(s.part, s.data) for s in seen.sights([other])] == [("source", "shapes")]
    assert seen.sights([other], data="a") == []


def test_borrowers_of_private_data_are_found(tmp_path: Path) -> None:
    loans = sample_loans()
    loans.assign(borrower=1000 + np.arange(len(loans)) // 2).to_csv(
        tmp_path / "loans.csv", index=False
    )
    keys = {
        "data": {"path": "loans.csv", "name": "loans", "id": "borrower"},
        "target": {"column": "defaulted", "positive": 1},
        "clients": {"column": "bank"},
        "bounds": {"amount": [0, 1e6]},
        "exclude": ["approved"],
        "privacy": {"epsilon": 6, "delta": 1e-4, "grant": {"epsilon": 6, "delta": 1e-4}},
        "rounds": 4,
        "sampling_rate": 0.2,
    }
    (tmp_path / "job.yaml").write_text(json.dumps(keys))
    with open_job("credit", load_config("credit", tmp_path / "job.yaml")) as job:
        facts = prepare_loans.fn(job, charge.fn(job, find_loans.fn(job))).facts
    row = facts.iloc[7]
    for unit in (row["group"], f"{row['group']}.0", row["record"]):
        assert [s.part for s in seen.sights([unit])] == [row["part"]]


def test_a_withdrawn_id_is_found_in_the_right_versions_only() -> None:
    versions = {}
    for name, ids in (("one", ["ann", "bob"]), ("two", ["bob", "cy"]), ("three", ["ann"])):
        config = load_config("credit", overrides=[f"model_name={name}"])
        with open_job("credit", config) as job:
            seen.remember(job, "people", ["train"] * len(ids), ids)
            versions[name] = _version(job)
    client().set_registered_model_alias("one", "champion", "1")
    found = {(s.model, s.version): s.aliases for s in seen.sights(["ann"])}
    assert found == {("one", "1"): ["champion"], ("three", "1"): []}
    both = {s.model: s.ids for s in seen.sights(["ann", "bob"])}
    assert both == {"one": [1, 2], "two": [2], "three": [1]}


def test_a_training_counts_though_its_version_is_gone() -> None:
    with open_job("credit", load_config("credit")) as job:
        seen.remember(job, "people", ["train"], ["ann"])
        version = _version(job)
    client().delete_model_version(job.name, version)
    [sight] = seen.sights(["ann"])
    assert (sight.version, sight.run_id) == (None, job.run_id)
    assert "no version left" in seen.tell([sight], 1, [])


def test_versions_without_a_record_are_named() -> None:
    with open_job("credit", load_config("credit")) as job:
        _version(job)
    assert seen.without_record() == [f"{job.name}/1"]
    assert f"Not known of {job.name}/1: no record was kept" in seen.tell(
        [], 1, seen.without_record()
    )


def test_without_the_key_no_id_can_be_tested(home: Path) -> None:
    seen.remember(_job(), "people", ["train"], ["ann-4711"])
    [path] = (home / "seen").iterdir()
    assert b"4711" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0
    assert len(seen.sights(["ann-4711"])) == 1
    (home / "key").write_bytes(bytes(32))
    assert seen.sights(["ann-4711"]) == []


def test_records_that_take_part_in_nothing_are_not_seen() -> None:
    seen.remember(_job(), "people", ["left out", "excluded", "test"], ["ann", "bob", "cy"])
    assert [len(seen.sights([name])) for name in ("ann", "bob", "cy")] == [0, 0, 1]


def test_a_stage_that_runs_again_writes_the_same(home: Path) -> None:
    for _ in range(2):
        seen.remember(
            _job(), "people", ["train", "train", "test"], ["b", "a", "c"], ["p", "p", "q"]
        )
    assert [sight.part for sight in seen.sights(["p"])] == ["train"]
    seen.remember(_job(), "others", ["source"], ["a"])
    assert {(s.data, s.part) for s in seen.sights(["a"])} == {
        ("people", "train"),
        ("others", "source"),
    }


@pytest.mark.parametrize("typed", ["7", "007", "7.0", " 7 "])
def test_a_number_is_found_however_it_was_read(typed: str) -> None:
    seen.remember(_job(), "people", ["train", "train"], np.array([7.0, 70.0]))
    assert len(seen.sights([typed])) == 1


def test_many_ids_are_kept_and_found() -> None:
    ids = np.arange(10**5)
    seen.remember(_job(), "people", np.where(ids % 5, "train", "test"), ids)
    asked = [str(number) for number in range(0, 10**5, 100)]
    parts = {sight.part: len(sight.ids) for sight in seen.sights(asked)}
    assert parts == {"test": 1000}


def test_the_command_never_repeats_an_id(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen.remember(_job(), "people", ["train"], ["ann-4711"])
    (tmp_path / "ids").write_text("ann-4711\nbob-0815\n")
    models.models_seen(None, tmp_path / "ids", None, True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["asked"] == 2
    assert [(s["model"], s["part"], s["ids"]) for s in answer["seen"]] == [
        ("credit-a", "train", [1])
    ]
    models.models_seen("ann-4711", None, None, False)
    told = capsys.readouterr().out
    assert "credit-a no version left: train of people" in told
    assert "Not covered" in told
    assert "4711" not in told + json.dumps(answer)


def test_the_command_wants_one_id_or_a_file_of_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="either one ID or --ids FILE"):
        models.models_seen(None, None, None, False)
    (tmp_path / "ids").write_text("\n")
    with pytest.raises(InputError, match="no id in it"):
        models.models_seen(None, tmp_path / "ids", None, False)


def test_weights_come_from_what_trained_and_chose_them_and_pictures_are_known_by_their_pixels(
    tmp_path: Path,
) -> None:
    write_folder(tmp_path / "in", each=30)
    keys = {"scale": "tiny", "data": {"kind": "folder", "path": "in"}}
    (tmp_path / "job.yaml").write_text(json.dumps(keys))
    with open_job("imaging", load_config("imaging", tmp_path / "job.yaml")) as job:
        target = prepare_images.fn(job).target
        (pixels,) = target.units()
        found = {part: seen.shared(job.run_id, pixels[target.rows(part)]) for part in PARTS}
        counts = {part: len(target.rows(part)) for part in PARTS}
    assert found == counts | {"calibration": 0, "test": 0}
    assert min(counts.values()) > 0
