"""The story of a model: complete as JSON, readable as text, whole where something is gone."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from pipelines.governance import activity, promotion, registry, scored
from pipelines.governance.lineage import lineage, note_bases, published
from pipelines.governance.story import story
from pipelines.governance.story_text import tell
from pipelines.settings import load_config
from pipelines.tracking import client, open_job
from tests.pipelines.governance.sample_registry import NAME, evidence, register


@pytest.fixture(autouse=True)
def _at_home(home: Path) -> None:
    """Every test has a registry of its own."""


def test_the_story_has_every_version_and_every_move_with_who_when_and_why() -> None:
    promotion.promote(NAME, register(0.3))
    promotion.promote(NAME, register(0.1), note="asked for by the board")
    with pytest.raises(Refused):
        promotion.promote(NAME, register(3.0))
    promotion.rollback(NAME, note="complaints")
    told = story(NAME)
    json.dumps(told)
    assert [v["version"] for v in told["versions"]] == ["1", "2", "3"]
    assert [(m["action"], m["before"], m["after"]) for m in told["moves"]] == [
        ("promote", None, "1"),
        ("promote", "1", "2"),
        ("refuse", "2", "3"),
        ("rollback", "2", "1"),
    ]
    assert told["aliases"]["champion"] == {
        "version": "1", "exists": True, "recorded": "1", "recorded_exists": True,
    }  # fmt: skip
    text = tell(told)
    assert "rollback  2 -> 1" in text
    assert "“complaints”" in text
    assert "no worse than the best champion: not met" in text


def test_one_version_is_told_in_full_by_number_and_by_alias() -> None:
    promotion.promote(NAME, register(0.1))
    promotion.promote(NAME, register(0.05))
    told = story(f"{NAME}@champion")
    assert told == story(f"{NAME}/2")
    [version] = told["versions"]
    assert version["evidence"]["metrics"]["auroc_low"] == 0.78
    assert version["evidence"]["controls"] == {"alone": {"auroc": 0.7}}
    assert version["gate"][0].startswith("evidence: met")
    text = tell(told)
    assert "AUROC 0.800 (0.780 to 0.820)" in text
    assert "alone: AUROC 0.700" in text
    assert "a finding" in text


def test_a_scorecard_is_told_with_what_its_bins_cost_and_how_to_check_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charged = {
        "unit": "record", "epsilon": 0.997, "delta": 1e-5, "noise_multiplier": 28.21,
        "rounds": 50, "local_steps": 1, "sampling_rate": 1.0, "setup_columns": 20,
        "shape": {"training_records": [1200.0], "codes": 9},
    }  # fmt: skip
    rows = [
        ["(start)", "every feature at its reference", 531.9],
        ["Amount", "below 10", -10.0],
        ["Amount", "empty", 9.4],
        ["Purpose", "car", 1.0],
    ]
    whole = {**evidence(), "privacy": charged, "scorecard": {"rows": rows}}
    monkeypatch.setattr("tests.pipelines.governance.sample_registry.evidence", lambda _: whole)
    promotion.promote(NAME, register(0.1))
    told = story(f"{NAME}/1")
    assert told["versions"][0]["evidence"]["scorecard"] == rows
    text = tell(told)
    for expected in (
        "starts at 531.9 points",
        "2 features, 3 lines",
        "Amount -10.0 to +9.4",
        "50 rounds of 1 local step, each on 100% of the records",
        "20 columns are noised and charged",
        f"`careledger audit {told['versions'][0]['run_id']}`",
    ):
        assert expected in text  # fmt: skip
    assert "noised and charged" not in tell(story(NAME))


def test_unknown_aliases_and_versions_say_what_there_is() -> None:
    promotion.promote(NAME, register(0.1))
    with pytest.raises(InputError, match="no alias 'best'; it has champion"):
        story(f"{NAME}@best")
    with pytest.raises(InputError, match="it has 1"):
        story(f"{NAME}/7")


def test_a_champion_that_was_deleted_is_said() -> None:
    promotion.promote(NAME, register(0.1))
    client().delete_model_version(NAME, "1")
    text = tell(story(NAME))
    assert "by the record it belongs to version 1, which was deleted" in text
    assert "none is left" in text


def test_a_champion_moved_by_hand_is_said() -> None:
    promotion.promote(NAME, register(0.1))
    register(0.1)
    client().set_registered_model_alias(NAME, "champion", "2")
    assert "by the record it belongs to version 1: it was moved by hand" in tell(story(NAME))


def test_a_version_whose_artifacts_are_gone_is_said(home: Path) -> None:
    promotion.promote(NAME, register(0.1))
    shutil.rmtree(home / "artifacts")
    told = story(f"{NAME}/1")
    assert told["versions"][0]["evidence"] is None
    assert "evidence is missing" in tell(told)
    assert "evidence is missing" in tell(story(NAME))


def test_a_version_whose_run_is_gone_is_said(home: Path) -> None:
    version = register(0.1)
    run_id = registry.get_version(NAME, version).run_id
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        for table in ("tags", "params", "metrics", "latest_metrics", "runs"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (run_id,))  # noqa: S608
    assert f"run {run_id} was deleted" in tell(story(f"{NAME}/1"))


def test_a_version_cut_short_is_told_as_not_judged() -> None:
    register(0.1)
    assert "not judged: its run was cut short" in tell(story(NAME))


def test_lineage_names_data_bases_and_run(tmp_path: Path) -> None:
    weights = tmp_path / "base.safetensors"
    weights.write_bytes(b"weights")
    config = load_config("imaging", overrides=[f"weights={weights}"])
    with open_job("imaging", config) as job:
        note_bases(job)
        ledger = '{"length": 3, "head": "b"}'
        tags = {"careledger.data.digest": "sha256:aa", "careledger.ledger": ledger}
        version = registry.create_version("imaging-lidc", "file:///x", job.run_id, tags)
    found = lineage(registry.get_version("imaging-lidc", version), evidence())
    [base] = found["bases"]
    assert base["name"] == "base.safetensors"
    assert base["digest"].startswith("sha256:")
    assert found["data"]["training"] == "sha256:aa"
    assert found["ledger"] == {"length": 3, "head": "b"}
    assert found["run"]["id"] == job.run_id


def test_public_bases_are_known_by_the_package_they_came_in() -> None:
    assert published("efficientnet-lite0")["digest"].startswith("sha256:f2bc3dd0")
    assert published("densenet121") == {"name": "densenet121, random weights", "digest": ""}


def test_what_a_version_scored_is_told_without_records() -> None:
    promotion.promote(NAME, register(0.1))
    facts = {"model": NAME, "version": "1"}
    activity.note(
        "score",
        **facts,
        how="batch",
        rows=100,
        rejected=2,
        digest="sha256:1",
        run_id="r",
        ended="done",
    )
    activity.note(
        "score",
        **facts,
        how="batch",
        rows=7,
        rejected=0,
        digest="sha256:2",
        run_id="s",
        ended="failed",
    )
    activity.note("serve", **facts, key="ward", requests=5, rows=9, since="a", until="b")
    activity.note("score", model="other", version="1", rows=1, ended="done")
    [version] = story(NAME)["versions"]
    assert version["scored"]["batch"]["rows"] == 100
    assert version["scored"]["batch"]["failed"] == 1
    assert version["scored"]["served"] == {"requests": 5, "rows": 9, "keys": ["ward"], "last": "b"}
    assert len(scored.scored(NAME, "1")) == 3
    assert scored.scored(NAME, "2") == []
    text = tell(story(f"{NAME}/1"))
    assert "100 rows in 1 files, 2 rejected, 1 failed" in text
    assert "9 rows in 5 requests, keys ward" in text
    assert "100 rows, 2 rejected" in scored.line(scored.scored(NAME)[-1])
