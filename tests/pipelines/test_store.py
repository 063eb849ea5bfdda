"""A fresh MLflow store costs a copy, and is nobody else's."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.store import copy_template, prepare_store


def _tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE made (once INTEGER)")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("CARELEDGER_CACHE", str(folder))
    return folder


def test_a_fresh_store_holds_runs_and_no_experiment_of_another_home(home: Path) -> None:
    with closing(sqlite3.connect(prepare_store(home).removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM experiments").fetchone() == (0,)
    client = MlflowClient(prepare_store(home))
    experiment = client.create_experiment("any", artifact_location=home.as_uri())
    run = client.create_run(experiment)
    assert MlflowClient(prepare_store(home)).get_run(run.info.run_id).info.run_id == run.info.run_id


def test_a_template_is_made_once_and_copied_from_then_on(cache: Path, tmp_path: Path) -> None:
    made: list[Path] = []

    def create(path: Path) -> None:
        made.append(path)
        _tables(path)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: copy_template("t.db", tmp_path / f"{i}.db", create), range(4)))
    assert len(made) == 1
    assert len({(tmp_path / f"{i}.db").read_bytes() for i in range(4)}) == 1


def test_a_store_that_exists_is_left_alone(cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    path.write_bytes(b"mine")
    copy_template("t.db", path, _tables)
    assert path.read_bytes() == b"mine"


def test_an_interrupted_creation_leaves_neither_template_nor_store(
    cache: Path, tmp_path: Path
) -> None:
    def interrupted(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_template("t.db", tmp_path / "new.db", interrupted)
    assert not (tmp_path / "new.db").exists()
    assert not (cache / "templates" / "t.db").exists()


def test_a_cache_that_cannot_be_written_costs_time_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CARELEDGER_CACHE", str(blocked / "cache"))
    copy_template("t.db", tmp_path / "new.db", _tables)
    assert (tmp_path / "new.db").stat().st_size > 0
