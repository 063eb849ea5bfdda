"""A person's word: nothing moves without it, and it is given once, at a terminal or in Prefect."""

from __future__ import annotations

import contextvars
import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.flow_engine import run_flow

from domains.errors import InputError, Refused
from pipelines.governance import approval, gate, promotion, registry
from pipelines.governance.gate import AWAITING
from pipelines.governance.moves import moves
from pipelines.settings import load_config
from pipelines.tracking import open_job
from tests.pipelines.governance.sample_registry import NAME, evidence, register


@pytest.fixture(autouse=True)
def _rules(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's rules, and approval for this model."""
    path = tmp_path / "promotion.toml"
    model = f'\n[model."{NAME}"]\napproval = true\napproval_hours = 1\n'
    path.write_text(gate.RULES.read_text() + model)
    monkeypatch.setattr(gate, "load_rules", functools.partial(gate.load_rules, path=path))
    monkeypatch.setattr(approval, "_POLL", 1)


def test_a_version_that_passes_waits_as_challenger() -> None:
    with pytest.raises(Refused, match=f"careledger models approve {NAME} 1"):
        promotion.promote(NAME, register(0.1))
    assert registry.aliases(NAME, "1") == ["challenger"]
    assert moves(NAME)[-1].action == "await"
    assert moves(NAME)[-1].reasons[-1] == AWAITING


def test_a_version_that_fails_the_gate_is_not_put_to_anybody() -> None:
    with pytest.raises(Refused, match="floor: not met"):
        promotion.promote(NAME, register(40.0))
    assert moves(NAME)[-1].action == "refuse"
    with pytest.raises(InputError, match="does not await approval"):
        approval.decide(NAME, "1", approve=True)


def test_approval_moves_the_champion_once_and_names_who_and_why() -> None:
    _put_up(0.1)
    approval.decide(NAME, "1", approve=True, by="Ada", note="looked at the card")
    assert registry.aliases(NAME, "1") == ["champion"]
    last = moves(NAME)[-1]
    assert (last.action, last.who, last.note) == ("promote", "Ada", "looked at the card")
    assert AWAITING not in last.reasons
    with pytest.raises(InputError, match="does not await approval"):
        approval.decide(NAME, "1", approve=True)


def test_a_declined_version_stays_challenger() -> None:
    _put_up(0.1)
    approval.decide(NAME, "1", approve=False, note="too few women in the data")
    assert registry.aliases(NAME, "1") == ["challenger"]
    assert moves(NAME)[-1].action == "decline"
    assert registry.champion(NAME) is None


def test_a_version_is_judged_again_by_the_champion_of_that_day() -> None:
    _put_up(0.8)
    _put_up(0.05)
    approval.decide(NAME, "2", approve=True)
    with pytest.raises(Refused, match="no worse than the best champion: not met"):
        approval.decide(NAME, "1", approve=True)
    assert registry.champion(NAME) == "2"
    assert moves(NAME)[-1].action == "refuse"


def test_rollback_needs_no_approval() -> None:
    for noise in (0.2, 0.1):
        approval.decide(NAME, _put_up(noise), approve=True)
    assert promotion.rollback(NAME) == ("2", "1")


def test_a_run_outside_a_deployment_ends_at_once(prefect_server: str) -> None:
    result = training(0.1)
    assert result["gate"]["promoted"] is False
    assert AWAITING in result["gate"]["reasons"]
    assert result["model"]["aliases"] == ["challenger"]


def test_a_paused_run_that_is_resumed_with_yes_promotes(prefect_server: str) -> None:
    run = Run()
    run.answer({"decision": "approve", "who": "Ada", "note": "fine"})
    result = run.result()
    assert result["gate"]["promoted"] is True
    assert result["model"]["aliases"] == ["champion"]
    assert [(m.action, m.who) for m in moves(NAME)][1:] == [("promote", "Ada")]


def test_a_paused_run_that_is_resumed_with_no_ends_with_a_challenger(prefect_server: str) -> None:
    run = Run()
    run.answer({"decision": "decline", "who": "Ada"})
    result = run.result()
    assert result["gate"]["promoted"] is False
    assert result["gate"]["reasons"][-1] == "approval: declined by a person"
    assert AWAITING not in result["gate"]["reasons"]
    assert registry.aliases(NAME, "1") == ["challenger"]


def test_a_decision_at_a_terminal_lets_the_paused_run_go_on(prefect_server: str) -> None:
    run = Run()
    move = approval.decide(NAME, "1", approve=True)
    told = approval.resume(NAME, "1", move)
    assert told is not None
    assert "goes on" in told
    assert run.result()["gate"]["promoted"] is True
    assert [m.action for m in moves(NAME)] == ["await", "promote"]


def test_nobody_answering_in_time_is_a_no_and_no_failure(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "promotion.toml"
    path.write_text(path.read_text().replace("approval_hours = 1\n", "approval_hours = 0.001\n"))
    run = Run(paused=False)
    assert run.result()["gate"]["promoted"] is False
    assert (moves(NAME)[-1].action, moves(NAME)[-1].who) == ("decline", "nobody")
    assert run.state() == "COMPLETED"


@flow(name="approval")
def training(noise: float) -> dict[str, Any]:
    """The end of a training: a version is registered, judged, and waits."""
    version = register(noise)
    with open_job("credit", load_config("credit")) as job:
        found = registry.get_version(NAME, version)
        answers = registry.stored_answers(found)
        move = promotion.settle(
            NAME, version, lambda: registry.judge(NAME, version, evidence(), answers), True
        )
        model = {"name": NAME, "version": version, "aliases": []}
        verdict = {"promoted": False, "reasons": move.reasons}
        return approval.settled(job, {"model": model, "gate": verdict})


class Run:
    """A flow run of a deployment, in a thread; ready once it is paused."""

    def __init__(self, paused: bool = True) -> None:
        with get_client(sync_client=True) as server:
            flow_id = server.create_flow(training)
            deployment = server.create_deployment(flow_id, "nightly")
            self.run = server.create_flow_run_from_deployment(deployment)
        self.results: list[dict[str, Any]] = []
        work = functools.partial(contextvars.copy_context().run, self._work)
        self.thread = threading.Thread(target=work)
        self.thread.start()
        if paused:
            _until(lambda: self.state() == "PAUSED")

    def answer(self, given: dict[str, str]) -> None:
        """Resume it as Prefect's page does."""
        with get_client(sync_client=True) as server:
            server.resume_flow_run(self.run.id, run_input=given)

    def result(self) -> dict[str, Any]:
        """What the flow returned."""
        self.thread.join()
        return self.results[0]

    def state(self) -> str:
        """Its state by the server."""
        with get_client(sync_client=True) as server:
            return _state(server, self.run.id)

    def _work(self) -> None:
        self.results.append(run_flow(training, flow_run=self.run, parameters={"noise": 0.1}))


def _state(server: SyncPrefectClient, run_id: Any) -> str:
    return str(server.read_flow_run(run_id).state.type.value)


def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise TimeoutError


def _put_up(noise: float) -> str:
    version = register(noise)
    with pytest.raises(Refused, match="awaits approval"):
        promotion.promote(NAME, version)
    return version
