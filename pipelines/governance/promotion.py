"""The one door of `champion`: promote, refuse, roll back.

It moves only here, after the gate; every move is written down with its reasons, so that of several
who want to move it at once each either comes next or judges again (`pipelines.governance.chain`).
"""

from __future__ import annotations

from collections.abc import Callable

from domains.errors import InputError, Refused
from pipelines.governance import chain, gate
from pipelines.governance.announce import announce
from pipelines.governance.moves import Action, Move, best_before, champion_of, made, succession
from pipelines.governance.registry import (
    get_version,
    judge,
    standing,
    stored_answers,
    stored_evidence,
)
from pipelines.governance.versions import load_version
from pipelines.tracking import client

_TRIES = 50
_REASON_LIMIT = 4000


def settle(
    name: str,
    version: str,
    judged: Callable[[], gate.Verdict],
    numbers: bool,
    run_id: str | None = None,
    note: str = "",
) -> Move:
    """Judge a version, and let `champion` and `challenger` follow; what came of it is recorded.

    Nothing is locked while it is judged. If another move is made in the meantime, on whatever
    machine, the yardstick may have changed, and the version is judged again. A run's word on its
    version is recorded once: asked again, it is carried out and answered, not repeated.

    Args:
        name: Registered model.
        version: The version.
        judged: Judges it by the yardstick of the moment. What it raises comes before any move; of
            whatever else is raised nobody can say whether the move was made.
        numbers: Whether held-out numbers may be told.
        run_id: The run that registers the version; None when a person puts it up.
        note: Why, in that person's words.

    Returns:
        The move: `promote`, `refuse`, or `await` where a person has to say yes as well.

    Raises:
        Refused: Others moved the champion again and again.
    """

    def word(history: list[Move]) -> Move:
        verdict = judged()
        yardstick, reasons = standing(name, history), verdict.reasons(numbers)
        told = "; ".join(reasons)[:_REASON_LIMIT]
        client().set_model_version_tag(name, version, "careledger.gate", told)
        # A new champion becomes the yardstick only if it is ahead: small declines do not add up.
        ahead = verdict.promotes and (yardstick is None or verdict.ahead)
        action: Action = "promote" if verdict.promotes else "await" if verdict.passed else "refuse"
        best = version if ahead else yardstick
        return made(action, champion_of(history), version, reasons, best, note, run_id)

    if run_id is not None:
        for said in chain.history(name).values():
            if said.run_id == run_id and said.after == version:
                chain.carry_out(name)
                return said
    return make(name, word)


def make(name: str, word: Callable[[list[Move]], Move]) -> Move:
    """Make the next move of a model, as the history at that moment asks for.

    Args:
        name: Registered model.
        word: Every move so far → the move to make. Called again when another came first.

    Raises:
        Refused: Others came first again and again.
    """
    for _ in range(_TRIES):
        history = chain.history(name)
        move = word(list(history.values()))
        if chain.write(name, max(history, default=0) + 1, move):
            chain.carry_out(name)
            announce(name, move)
            return move
    raise Refused(f"{name}: others moved its champion {_TRIES} times in the meantime; try again")


def promote(name: str, version: str, note: str = "") -> Move:
    """Judge a registered version again and move `champion` to it if the gate says yes.

    Where the rules ask for a person's approval, this puts the version up for it.

    Args:
        name: Registered model.
        version: Its number.
        note: Why, for the record.

    Raises:
        InputError: No such model or version, or the version cannot be loaded.
        Refused: The gate said no, or a person has to say yes first; that is recorded.
    """
    found = get_version(name, version)
    evidence, new = stored_evidence(found), stored_answers(found)
    load_version(name, version)
    numbers = bool(evidence["metrics"])
    move = settle(name, version, lambda: judge(name, version, evidence, new), numbers, note=note)
    if move.action == "await":
        raise Refused(
            f"{name} version {version} awaits approval: careledger models approve {name} {version}"
        )
    if move.action != "promote":
        raise Refused(f"{name} version {version}: " + "; ".join(move.reasons))
    return move


def rollback(name: str, note: str = "") -> tuple[str, str]:
    """Move `champion` back to the last version that held it before and can still answer.

    A version that was deleted, or whose package cannot be loaded, is passed over; the move says so.
    No approval is asked for: going back is how people get out of trouble.

    Args:
        name: Registered model.
        note: Why, for the record.

    Returns:
        From and to.

    Raises:
        InputError: No such model, no champion, or none before it that can answer.
    """

    def word(history: list[Move]) -> Move:
        line = succession(history)
        if len(line) < 2:
            raise InputError(f"{name}: no earlier champion to go back to")
        current, yardstick = line[-1], standing(name, history)
        earlier, passed = _last_able(name, line[:-1])
        best = (best_before(history, current) or earlier) if yardstick == current else yardstick
        reasons = ["rolled back by a person", *passed]
        return made("rollback", current, earlier, reasons, best, note)

    move = make(name, word)
    return str(move.before), str(move.after)


def _last_able(name: str, line: list[str]) -> tuple[str, list[str]]:
    passed = []
    for version in reversed(line):
        if not chain.exists(name, version):
            passed.append(f"version {version} was passed over: it was deleted")
            continue
        try:
            load_version(name, version)
        except InputError:
            passed.append(f"version {version} was passed over: it cannot be loaded")
        else:
            return version, passed
    raise InputError(f"{name}: no earlier champion can answer; {'; '.join(passed)}")
