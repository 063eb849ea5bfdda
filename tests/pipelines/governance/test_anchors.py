"""Runs and versions remember the ledger that paid for them, in a real MLflow store."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from domains.errors import Refused
from pipelines.governance import anchors
from pipelines.settings import ledger_path, load_config, open_ledger
from pipelines.tracking import client, open_job
from privacy.chain import Unsound

pytestmark = pytest.mark.usefixtures("home")
DELTA = 1e-5
CHARGE = [{"kind": "gaussian", "sigma": 2.0, "count": 1}]
FILES = ("ledger.db", "ledger.db.key", "ledger.db.head")


def run_job(grant: tuple[float, float] | None = (30, DELTA), fails: bool = False) -> str:
    """A job that does nothing but spend; its run."""
    with open_job("credit", load_config("credit")) as job:
        with anchors.anchored(job.run_id) as ledger:
            ledger.reserve(job.run_id, {"a": CHARGE}, grant=grant)
        if fails:
            raise ZeroDivisionError
        with anchors.anchored(job.run_id) as ledger:
            ledger.commit(job.run_id)
    return job.run_id


def tags(run_id: str) -> dict[str, str]:
    found: dict[str, str] = client().get_run(run_id).data.tags
    return found


def known() -> list[tuple[str, int]]:
    name = open_ledger().name
    return [(one.where, one.length) for one in anchors.newest(name)]


def copy(home: Path, there: Path) -> None:
    there.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy2(home / name, there)


def test_a_run_remembers_the_head_and_can_be_searched_by_it(home: Path) -> None:
    run_id = run_job()
    length, head = open_ledger().head()
    told = tags(run_id)
    assert (int(told[anchors.LENGTH]), told[anchors.HEAD]) == (length, head)
    assert known() == [(f"run {run_id}", length)]
    assert open_ledger().verify() == []


def test_a_run_that_was_refused_or_failed_after_its_charge_remembers_it_too(home: Path) -> None:
    with pytest.raises(Refused):
        run_job(grant=None)
    assert [length for _, length in known()] == [1]
    with pytest.raises(ZeroDivisionError):
        run_job(fails=True)
    assert [length for _, length in known()] == [3, 1]


def test_an_older_copy_of_the_home_s_ledger_does_not_spend(home: Path, tmp_path: Path) -> None:
    run_job()
    copy(home, tmp_path / "then")
    last = run_job()
    copy(tmp_path / "then", home)
    with pytest.raises(Unsound, match=f"run {last} was paid with its entry"):
        run_job()
    with pytest.raises(Unsound):
        open_ledger().grant("a", 60, DELTA)
    (finding,) = open_ledger().verify(anchors.every(open_ledger().name))
    assert (finding.kind, finding.known_by) == ("restored", (f"run {last}",))


def test_a_run_that_a_person_deleted_remembers_still(home: Path, tmp_path: Path) -> None:
    open_ledger()
    copy_of_nothing = tmp_path / "then"
    run_job()
    copy(home, copy_of_nothing)
    last = run_job()
    client().delete_run(last)
    copy(copy_of_nothing, home)
    with pytest.raises(Unsound, match=last):
        run_job()


def test_a_ledger_begun_anew_in_the_same_home_does_not_spend(home: Path) -> None:
    last = run_job()
    for name in FILES:
        (home / name).unlink()
    with pytest.raises(Unsound, match=last):
        open_ledger().grant("a", 30, DELTA)
    (finding,) = open_ledger().verify()
    assert finding.kind == "rewritten"


def test_the_run_that_an_unsound_ledger_refuses_does_not_vouch_for_it(
    home: Path, tmp_path: Path
) -> None:
    """Its head would contradict the true ledger once that is back."""
    run_job()
    copy(home, tmp_path / "true")
    for name in FILES:
        (home / name).unlink()
    with pytest.raises(Unsound):
        run_job()
    copy(tmp_path / "true", home)
    run_job()
    assert open_ledger().verify() == []


def test_two_homes_share_a_server_once_a_person_has_said_so_in_each(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job()
    first = open_ledger().name
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    monkeypatch.setenv("CARELEDGER_HOME", str(tmp_path / "other"))
    with pytest.raises(Unsound, match=f"budget separate {first}"):
        run_job()
    open_ledger().separate(first, "the north's own")
    run_job()
    second = open_ledger().name
    assert open_ledger().verify(anchors.every(second)) == []
    monkeypatch.setenv("CARELEDGER_HOME", str(home))
    with pytest.raises(Unsound, match=f"budget separate {second}"):
        run_job()
    open_ledger().separate(second, "the south's own")
    run_job()
    assert open_ledger().verify(anchors.every(first)) == []


def test_a_ledger_begun_anew_does_not_spend_after_the_home_has_moved(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = run_job()
    moved = tmp_path / "moved"
    home.rename(moved)
    for name in FILES:
        (moved / name).unlink()
    monkeypatch.setenv("CARELEDGER_HOME", str(moved))
    with pytest.raises(Unsound, match=last):
        open_ledger().grant("a", 30, DELTA)
    (finding,) = open_ledger().verify(anchors.every(open_ledger().name))
    assert (finding.kind, finding.known_by) == ("rewritten", (f"run {last}",))


def test_a_version_alone_remembers_that_another_ledger_paid(home: Path) -> None:
    open_ledger().grant("a", 30, DELTA)
    client().create_registered_model("m")
    told = json.dumps({"id": "0" * 16, "length": 5, "head": "0" * 64})
    client().create_model_version("m", "file:///nowhere", None, {anchors.VERSION_TAG: told})
    with pytest.raises(Unsound, match="m version 1 was paid by ledger 0000"):
        open_ledger().grant("a", 40, DELTA)
    (finding,) = open_ledger().verify(anchors.every(open_ledger().name))
    assert finding.known_by == ("m version 1",)


def test_a_version_remembers_what_its_evidence_names(home: Path) -> None:
    run_id = run_job()
    ledger = open_ledger()
    length, _ = ledger.head()
    client().create_registered_model("m")
    told = json.dumps({"id": ledger.name, "length": length + 5, "head": "0" * 64})
    client().create_model_version("m", "file:///nowhere", run_id, {anchors.VERSION_TAG: told})
    found = anchors.every(ledger.name)
    assert {one.where for one in found} == {f"run {run_id}", "m version 1"}
    (finding,) = ledger.verify(found)
    assert (finding.kind, finding.known_by) == ("restored", ("m version 1",))


def test_a_store_that_is_gone_or_empty_is_no_reason_to_refuse(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ledger().grant("a", 30, DELTA)
    assert not (home / "mlflow.db").exists(), "looking must not make a store"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    open_ledger().reserve("1", {"a": CHARGE})
    assert ledger_path().exists()


def test_ending_a_job_asks_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger()
    ledger.grant("a", 30, DELTA)
    for job in "12":
        ledger.reserve(job, {"a": CHARGE})

    def asked(_: str) -> list[Any]:
        raise AssertionError("the store was searched")

    monkeypatch.setattr("pipelines.settings.places._anchors", asked)
    ledger = open_ledger()
    ledger.commit("1")
    ledger.cancel("2")
