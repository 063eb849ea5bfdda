"""Status tells what happened from real stores, and a source that is broken costs one line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipelines.governance import activity, chain, moves
from pipelines.life import jobs
from pipelines.settings import ledger_path
from pipelines.status import budgets, needs, runs, scored, served, words
from pipelines.status.snapshot import Snapshot, take
from pipelines.status.text import tell
from pipelines.status.values import as_json
from pipelines.tracking import client
from privacy.ledger import Ledger
from tests.pages import sample_status

CHARGE = [{"kind": "gaussian", "sigma": 2.0, "count": 1}]


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of other tests, and what is late there, is not this home's."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def a_run(model: str, status: str | None, ended: str = "", arm: bool = False) -> str:
    """An MLflow run as a training leaves it; `status` None: it still runs."""
    tracker = client()
    name = f"careledger-{model.partition('-')[0]}"
    found = tracker.get_experiment_by_name(name)
    experiment = found.experiment_id if found else tracker.create_experiment(name)
    tags = {} if arm else {"careledger.model": model}
    run = tracker.create_run(experiment, run_name=model.partition("-")[0], tags=tags)
    if ended:
        tracker.set_tag(run.info.run_id, "careledger.ended", ended)
    if status:
        tracker.set_terminated(run.info.run_id, status)
    return str(run.info.run_id)


def a_version(name: str, run_id: str) -> str:
    tracker = client()
    if not any(model.name == name for model in tracker.search_registered_models()):
        tracker.create_registered_model(name)
    version = tracker.create_model_version(name, source="file:///nowhere", run_id=run_id)
    return str(version.version)


def a_move(name: str, action: Any, before: str | None, after: str, reasons: list[str]) -> None:
    number = max(chain.history(name), default=0) + 1
    assert chain.write(name, number, moves.made(action, before, after, reasons, after))
    chain.carry_out(name)


def a_crash(run_id: str) -> None:
    """A job's folder whose process is gone."""
    record = jobs.Record(
        run_id, "imaging", "imaging-lidc", {}, time.time(), time.time(), 4, "revision"
    )
    stages = jobs.stages_folder(record.folder)
    stages.mkdir(parents=True)
    for begun in ("0-prepare.begun", "0-prepare.json", "1-train.begun"):
        (stages / begun).write_text("")
    held = jobs.hold(record.folder)
    assert held is not None
    jobs.write(record)
    held.release()


def test_a_home_where_nothing_ran_is_well_and_stays_empty(home: Path) -> None:
    seen = take()
    assert needs.people(seen) == []
    assert [part.said for name, part in seen.parts.items() if name != "schedules"] == [None] * 9
    assert list(home.iterdir()) == []


def test_every_end_of_a_run_is_told_with_its_reason(home: Path) -> None:
    a_run("imaging-a", "FINISHED")
    a_run("imaging-b", "FAILED", "InputError: a.csv: row 7: no label")
    a_run("imaging-c", "FAILED", "ValueError")
    a_run("imaging-d", "FAILED", "Refused: job 3f refused: owner x granted nothing")
    a_run("imaging-e", "KILLED", "KeyboardInterrupt")
    a_run("imaging-f", None)
    a_run("imaging-g", "FINISHED", arm=True)
    told = {run["model"]: (run["end"], run["why"]) for run in runs.read()}
    assert told == {
        "imaging-a": ("finished", ""),
        "imaging-b": ("failed", "a.csv: row 7: no label"),
        "imaging-c": ("failed", "ValueError"),
        "imaging-d": ("refused", "owner x granted nothing"),
        "imaging-e": ("killed", "stopped by a person"),
        "imaging-f": ("running", ""),
    }


def test_a_run_that_failed_and_was_made_good_needs_nobody(home: Path) -> None:
    a_run("imaging-a", "FAILED", "ValueError")
    assert [need.what for need in needs.people(take())] == [
        "imaging-a: the last run failed: ValueError"
    ]
    a_run("imaging-a", "FINISHED")
    assert needs.people(take()) == []


def test_a_dead_process_is_a_crash_with_the_command_that_goes_on(home: Path) -> None:
    run_id = a_run("imaging-lidc", None)
    a_crash(run_id)
    seen = take()
    (run,) = seen.of("runs")
    assert run["end"] == "crashed"
    (need,) = needs.people(seen)
    assert need.what == "imaging-lidc: a run crashed in train"
    assert need.command == f"careledger resume {run_id}"


def test_a_living_process_is_running_with_its_stage_and_progress(home: Path) -> None:
    run_id = a_run("imaging-lidc", None)
    a_crash(run_id)
    held = jobs.hold(jobs.folder_of(run_id))
    assert held is not None
    seen = take()
    held.release()
    (run,) = seen.of("runs")
    assert (run["end"], run["stage"], run["progress"]) == ("running", "train", 0.25)
    assert needs.people(seen) == []


def test_each_model_tells_its_champion_and_every_word_on_a_version(home: Path) -> None:
    for _ in range(3):
        a_version("credit-a", a_run("credit-a", "FINISHED"))
    a_move("credit-a", "promote", None, "1", ["floor: met (0.7)", "evidence: met (all)"])
    a_move("credit-a", "refuse", "1", "2", ["floor: not met (0.5)", "evidence: met (all)"])
    a_move("credit-a", "await", "1", "3", ["floor: met (0.8)", "approval: awaiting"])
    (model,) = served.read()
    assert (model["champion"], model["versions"]) == ("1", 3)
    assert (model["since"]["action"], model["since"]["why"]) == ("promote", "all 2 rules met")
    assert model["moves"][1]["why"] == "floor: not met (0.5)"
    assert model["awaiting"] == "3"
    assert [run["verdict"] for run in runs.read()] == [
        "passed the gate, awaits approval", "held back by the gate", "promoted"
    ]  # fmt: skip
    (need,) = needs.people(take())
    assert need.command == "careledger models approve credit-a 3"
    a_move("credit-a", "decline", "1", "3", ["declined"])
    assert served.read()[0]["awaiting"] is None


def test_a_model_without_a_champion_and_one_whose_champion_is_gone_need_a_person(
    home: Path,
) -> None:
    a_version("credit-a", a_run("credit-a", "FINISHED"))
    a_version("credit-b", a_run("credit-b", "FINISHED"))
    a_move("credit-b", "promote", None, "1", ["floor: met (0.7)"])
    client().delete_model_version("credit-b", "1")
    assert [need.what for need in needs.people(take())] == [
        "credit-a: 1 registered and none of them serves",
        "credit-b: its champion, version 1, is gone",
    ]


def test_owners_almost_out_come_first_with_the_runs_they_still_pay_for(home: Path) -> None:
    ledger = Ledger(ledger_path())
    for owner, epsilon in (("rich", 50.0), ("poor", 2.2), ("middle", 4.0)):
        ledger.grant(owner, epsilon, 1e-5)
        ledger.reserve(f"job-{owner}", {owner: CHARGE})
        ledger.commit(f"job-{owner}")
    rows = budgets.read()
    assert [row["owner"] for row in rows] == ["poor", "middle", "rich"]
    assert [row["more_runs"] for row in rows] == [0, 2, None]
    for number in range(2):  # what it says fits does fit, and no more
        ledger.reserve(f"more-{number}", {"middle": CHARGE})
    assert [row["more_runs"] for row in budgets.read() if row["owner"] == "middle"] == [0]
    told = [need.what for need in needs.people(take())]
    assert len(told) == 2
    assert "poor: the ε" in " ".join(told)


def test_spent_is_what_the_ledger_says_after_grants_and_cancellations(home: Path) -> None:
    ledger = Ledger(ledger_path())
    ledger.grant("a", 9.0, 1e-5)
    ledger.grant("b", 9.0, 1e-5)
    ledger.grant("c", 9.0, 1e-5)
    for job in ("one", "two"):
        ledger.reserve(job, {"a": CHARGE, "b": CHARGE, "c": CHARGE})
    ledger.grant("a", 9.0, 1e-6)
    ledger.cancel("two")
    ledger.reserve("three", {"b": CHARGE})
    ledger.grant("b", 12.0, 1e-5)
    told = {row["owner"]: row["epsilon_spent"] for row in budgets.read()}
    assert told == {b.owner: pytest.approx(b.epsilon_spent) for b in ledger.budgets()}


def test_scorings_and_requests_are_told_without_a_record(home: Path) -> None:
    facts = {"model": "credit-a", "version": "1"}
    activity.note("score", **facts, how="batch", rows=9, rejected=2, ended="done", digest="d")
    there = {"source": "s", "target": "t", "input": str(home), "why": "no column", "command": "c"}
    activity.note("score", **facts, how="batch", rows=0, rejected=0, ended="failed", **there)
    for requests in (3, 4):
        activity.note("serve", **facts, key="ab", requests=requests, rows=10, since="s", until="u")
    told = scored.read()
    assert [(act["rows"], act["ended"]) for act in told["scorings"]] == [(0, "failed"), (9, "done")]
    (line,) = told["requests"]
    assert (line["requests"], line["rows"], line["until"]) == (7, 20, "u")
    assert [need.what for need in needs.people(take())] == [
        f"credit-a: {home} was not scored: no column"
    ]


def test_json_has_every_key_whatever_could_be_read(home: Path) -> None:
    keys = set(as_json(take()))
    for snapshot in (sample_status.busy(), sample_status.broken(), sample_status.snapshot()):
        value = json.loads(json.dumps(as_json(snapshot)))
        assert set(value) == keys
        assert all(value[name] is None for name in value["unread"])


def test_the_text_tells_all_that_needs_a_person(home: Path) -> None:
    snapshot: Snapshot = sample_status.busy()
    told = tell(snapshot)
    for need in needs.people(snapshot):
        assert need.what in told
        assert need.command in told
    folded = tell(snapshot, width=60)
    assert all(len(line) <= 60 for line in folded.splitlines() if " " in line.strip()[6:56])
    assert "\033" not in told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (39.4, "39 s"), (600, "10 min"), (7300, "2 h"), (4e5, "5 days"), (None, "–")],
)
def test_spans_read_as_people_say_them(seconds: float | None, text: str) -> None:
    assert words.span(seconds) == text
