"""Writing moves down, one after the other, whoever else is at it on whatever machine.

Every move of a model has a number, and the store lets one writer have it: a move is made by
creating an MLflow experiment that is named after model and number, with the move in its tags. Names
of experiments are unique, so that of all who judged by the same history exactly one creates it, and
everyone else learns that the history has changed and judges again. There is no lock to hold, no
lease and no clock in it: a process that is stopped for an hour and goes on finds its number taken,
and one that dies after creating leaves a whole move that the next process carries out. The move is
copied to a tag of the registered model, where people and programs read it, and the experiment is
deleted, which hides it and keeps its name taken, until `mlflow gc` removes it for good: by then no
process still has the history of that day in hand.

All it asks of the store is that names of experiments are unique, which every MLflow database holds.
The aliases follow the record. Where a process dies after setting an alias by a record that had just
grown, the alias lags until the next move; the record is right at any time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Any

from mlflow.exceptions import MlflowException

from pipelines.governance.moves import (
    PREFIX,
    Move,
    challenger_of,
    champion_of,
    numbered,
    registered,
)
from pipelines.settings import home
from pipelines.tracking import client

CHAMPION, CHALLENGER = "champion", "challenger"
_MODEL, _MOVE, _TOKEN = "careledger.model", "careledger.move", "careledger.token"
_LIMIT = 4000


def history(name: str) -> dict[int, Move]:
    """Number → move, oldest first, after finishing what a process that died left half written."""
    model = registered(name)
    found = numbered(model.tags)
    number = max(found, default=0) + 1
    while slot := client().get_experiment_by_name(_slot(model, number)):
        _copy(name, number, slot)
        found[number] = Move(**json.loads(slot.tags[_MOVE]))
        number += 1
    return found


def write(name: str, number: int, move: Move) -> bool:
    """Make a move the model's move `number`; False when another was made first.

    Once this returns True the move stands, whatever happens next: see `carry_out`.
    """
    text, token = _text(move), secrets.token_hex(16)
    tags = {_MODEL: name, _MOVE: text, _TOKEN: token}
    slot = _slot(registered(name), number)
    try:
        client().create_experiment(slot, tags=tags)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        # A client that lost the first answer asks again, and then meets its own move.
        if client().get_experiment_by_name(slot).tags.get(_TOKEN) != token:
            return False
    return True


def carry_out(name: str) -> None:
    """Copy what was written and let the aliases follow; doing it twice changes nothing.

    It looks again afterwards: another machine may have moved on in between.
    """
    with _door():
        done: dict[int, Move] = {}
        while (found := history(name)) != done:
            _point(name, CHAMPION, champion_of(found.values()))
            _point(name, CHALLENGER, challenger_of(found.values()))
            done = found


@contextmanager
def _door() -> Iterator[None]:
    """One process of this home at a time moves aliases; the lock goes with the process."""
    with (home() / "registry.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _point(name: str, alias: str, version: str | None) -> None:
    held = registered(name).aliases.get(alias)
    if version is None or not exists(name, version):
        if held is not None and alias == CHALLENGER:
            client().delete_registered_model_alias(name, alias)
    elif str(held) != version:
        client().set_registered_model_alias(name, alias, version)


def exists(name: str, version: str) -> bool:
    """Whether a version is there and was not deleted."""
    try:
        client().get_model_version(name, version)
    except MlflowException:
        return False
    return True


def _copy(name: str, number: int, slot: Any) -> None:
    tracker = client()
    tracker.set_registered_model_tag(name, f"{PREFIX}{number:06d}", slot.tags[_MOVE])
    with suppress(MlflowException):  # another process has just deleted it
        tracker.delete_experiment(slot.experiment_id)


def _slot(model: Any, number: int) -> str:
    """Name of the experiment that is a move; a model that was deleted and made anew starts anew."""
    made = hashlib.sha256(f"{model.name}\n{model.creation_timestamp}".encode()).hexdigest()
    return f"careledger-move/{made[:24]}/{number:06d}"


def _text(move: Move) -> str:
    text = json.dumps(asdict(move))
    if len(text) > _LIMIT:
        text = json.dumps(asdict(replace(move, reasons=["; ".join(move.reasons)[:2000]])))
    return text
