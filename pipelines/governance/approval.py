"""A person's word on a version that the gate let pass, where the rules ask for one.

Such a version becomes challenger and its wait is recorded. Somebody decides with `careledger models
approve`, or in Prefect, where the run of a deployment stays paused so long. Either way the version
is judged once more by the yardstick of that moment, and moves as any other does.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout, PrefectException
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.states import Running

from domains.errors import InputError, Refused
from pipelines.environment import time_limit
from pipelines.governance import gate, registry
from pipelines.governance.gate import AWAITING
from pipelines.governance.moves import Move, awaits, champion_of, made, moves
from pipelines.governance.promotion import make
from pipelines.governance.versions import load_version
from pipelines.life import flow_runs
from pipelines.progress import say
from pipelines.tracking import Job, client

FLOW_RUN = "careledger.flow_run"
_POLL = 5
_MARGIN = 120.0
_BEGAN = time.monotonic()

Result = dict[str, Any]


class Decision(RunInput):
    """What Prefect asks the person who resumes a paused run."""

    decision: Literal["approve", "decline"]
    who: str
    note: str = ""


def settled(job: Job, result: Result) -> Result:
    """The result of a run once a person has decided, where one has to and Prefect can wait for it.

    Only the run of a deployment waits, paused: nobody sits before it. Any other run ends at once,
    and its version awaits `careledger models approve`.

    Args:
        job: The job.
        result: What `publish` answered.

    Returns:
        The same, with aliases, verdict and reasons as they stand then.
    """
    if AWAITING not in result["gate"]["reasons"]:
        return result
    name, version = result["model"]["name"], result["model"]["version"]
    flow_run_id, deployed = flow_runs.current()
    asked = awaits(moves(name), version)
    if asked and flow_run_id and deployed:
        client().set_model_version_tag(name, version, FLOW_RUN, flow_run_id)
        _ask(job, name, version, asked)
    said = [move for move in moves(name) if move.after == version][-1]
    result["gate"] = {"promoted": said.action == "promote", "reasons": said.reasons}
    result["model"]["aliases"] = registry.aliases(name, version)
    return result


def decide(name: str, version: str, approve: bool, by: str | None = None, note: str = "") -> Move:
    """Approve or decline a version that awaits it.

    Args:
        name: Registered model.
        version: The version.
        approve: Yes or no.
        by: Who decided; None for the account that runs this process.
        note: Why, for the record.

    Returns:
        The move: `promote` or `decline`.

    Raises:
        InputError: The version does not await approval, or cannot be loaded.
        Refused: The gate says no by now; that is recorded.
    """
    judged = _judge(name, version) if approve else None

    def word(history: list[Move]) -> Move:
        asked = awaits(history, version)
        if asked is None:
            raise InputError(
                f"{name} version {version} does not await approval; "
                f"`careledger models promote {name} {version}` puts a version up for it"
            )
        before, best = champion_of(history), registry.standing(name, history)
        if judged is None:
            reasons = [*_but_awaiting(asked.reasons), "approval: declined by a person"]
            return made("decline", before, version, reasons, best, note, by=by)
        verdict, numbers = judged()
        reasons = _but_awaiting(verdict.reasons(numbers))
        if not verdict.passed:
            return made("refuse", before, version, reasons, best, note, by=by)
        best = version if best is None or verdict.ahead else best
        reasons.append("approval: approved by a person")
        return made("promote", before, version, reasons, best, note, by=by)

    move = make(name, word)
    if move.action == "refuse":
        raise Refused(f"{name} version {version}: " + "; ".join(move.reasons))
    return move


def resume(name: str, version: str, move: Move) -> str | None:
    """Let the flow run that waits for a decision go on; says in a line how that went.

    Returns:
        None where no run waits.
    """
    flow_run_id = registry.get_version(name, version).tags.get(FLOW_RUN)
    if flow_run_id is None:
        return None
    decision = "approve" if move.action == "promote" else "decline"
    answer = {"decision": decision, "who": move.who, "note": move.note}
    if flow_runs.answer(flow_run_id, answer):
        return f"the paused flow run {flow_run_id} goes on"
    return f"no server in reach has a paused flow run {flow_run_id}; where there is one, it ends"


def _but_awaiting(reasons: list[str]) -> list[str]:
    return [reason for reason in reasons if reason != AWAITING]


def _judge(name: str, version: str) -> Callable[[], tuple[Any, bool]]:
    found = registry.get_version(name, version)
    evidence, new = registry.stored_evidence(found), registry.stored_answers(found)
    load_version(name, version)
    return lambda: (registry.judge(name, version, evidence, new), bool(evidence["metrics"]))


def _ask(job: Job, name: str, version: str, asked: Move) -> None:
    """Pause until somebody answers, the wait is over, or the run's own time is."""
    hours = gate.load_rules(job.pipeline, name).approval_hours
    since = datetime.fromisoformat(asked.when)
    left = hours * 3600 - (datetime.now(UTC) - since).total_seconds()
    own = (time_limit() or math.inf) - (time.monotonic() - _BEGAN) - _MARGIN
    say(f"{name} version {version} awaits approval; this run is paused")
    answer = _paused(max(min(left, own), 1.0))
    if awaits(moves(name), version) is None:
        return  # decided at a terminal in the meantime
    try:
        if answer:
            decide(name, version, answer.decision == "approve", by=answer.who, note=answer.note)
        elif left <= own:
            decide(name, version, False, by="nobody", note=f"nobody answered within {hours:g} h")
    except (InputError, Refused) as error:
        say(str(error))


def _paused(seconds: float) -> Decision | None:
    """What somebody answered; None when nobody did, or the server is gone."""
    key = f"approval-{secrets.token_hex(4)}"  # a run that was taken up again may pause again
    try:
        return pause_flow_run(Decision, timeout=math.ceil(seconds), poll_interval=_POLL, key=key)
    except FlowPauseTimeout:
        with get_client(sync_client=True) as server:  # to Prefect an unanswered run has failed
            flow_run_id = UUID(str(flow_runs.current()[0]))
            server.set_flow_run_state(flow_run_id, Running(), force=True)
    except (httpx.HTTPError, PrefectException) as error:
        say(f"paused no longer: {type(error).__name__}; the version still awaits approval")
    return None
