"""The ledger's head in the runs and versions it paid for, so that nobody shortens it unseen.

A run gets the head as soon as its charge is reserved or refused, and again when it is closed; a
version gets the one its evidence names. What the ledger must hold before it spends is asked by the
length in the tags: the longest heads are the newest, and each commits to all before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mlflow.entities import RunTag, ViewType
from mlflow.exceptions import MlflowException

from domains.errors import InputError, Refused
from pipelines.life.jobs import HOME_TAG, home_mark
from pipelines.settings import has_store, open_ledger
from pipelines.tracking import client
from privacy.anchors import Anchor
from privacy.chain import Unsound
from privacy.ledger import Ledger

LEDGER, LENGTH, HEAD = "careledger.ledger.id", "careledger.ledger.length", "careledger.ledger.head"
VERSION_TAG = "careledger.ledger"

_FEW, _ALL = 10, 1000
_DIGITS = 12  # so that lengths compare as text


@contextmanager
def anchored(run_id: str) -> Iterator[Ledger]:
    """The ledger; what the block has written in it is remembered by a run, a refusal too."""
    ledger = open_ledger()
    try:
        yield ledger
    except Unsound:  # a head of it would contradict the ledger that is to be restored
        raise
    except Refused:
        with suppress(MlflowException, InputError, OSError):  # the refusal is what must be told
            _note(run_id, ledger)
        raise
    _note(run_id, ledger)


def _note(run_id: str, ledger: Ledger) -> None:
    length, head = ledger.head()
    told = {LEDGER: ledger.name, LENGTH: f"{length:0{_DIGITS}d}", HEAD: head}
    client().log_batch(run_id, tags=[RunTag(key, value) for key, value in told.items()])


def newest(ledger: str) -> list[Anchor]:
    """The longest heads known of a ledger, of any other that paid for a run of this home, and one
    of each other ledger that paid for a run or a version in this store.

    A store that is gone or empty knows nothing: that is no reason to refuse.
    """
    return _known(ledger, _FEW, versions=False)


def every(ledger: str) -> list[Anchor]:
    """All heads that runs and versions remember; see `newest`."""
    return _known(ledger, _ALL, versions=True)


def _known(ledger: str, most: int, versions: bool) -> list[Anchor]:
    if not has_store():
        return []
    try:
        experiments = _experiments()
        mine = f"tags.`{HOME_TAG}` = '{home_mark()}' and tags.`{LENGTH}` != ''"
        found = [
            *_runs(experiments, f"tags.`{LEDGER}` = '{ledger}'", most),
            *_runs(experiments, mine, most),
            *_others(experiments, ledger),
        ]
        found += [one for one in _versions(every=versions) if versions or one.ledger != ledger]
    except (MlflowException, InputError, OSError):
        return []
    return list(dict.fromkeys(found))


def _experiments() -> list[str]:
    found = client().search_experiments(
        view_type=ViewType.ALL, filter_string="name LIKE 'careledger-%'", max_results=_ALL
    )
    return [one.experiment_id for one in found if not one.name.startswith("careledger-move/")]


def _runs(experiments: list[str], which: str, most: int) -> Iterator[Anchor]:
    """Runs that remember a head, the longest first; deleted ones too."""
    if not experiments:
        return
    token: str | None = None
    order = [f"tags.`{LENGTH}` DESC"]
    while True:
        page = client().search_runs(experiments, which, ViewType.ALL, most, order, token)
        for run in page:
            tags = run.data.tags
            if LEDGER in tags and LENGTH in tags and HEAD in tags:
                where, here = f"run {run.info.run_id}", tags.get(HOME_TAG) == home_mark()
                yield Anchor(tags[LEDGER], int(tags[LENGTH]), tags[HEAD], where, here)
        token = page.token
        if not token or most < _ALL:
            return


def _others(experiments: list[str], ledger: str) -> Iterator[Anchor]:
    """The longest head of every other ledger, found one by one."""
    named = [ledger]
    while True:
        which = " and ".join(f"tags.`{LEDGER}` != '{name}'" for name in named)
        found = next(_runs(experiments, which, 1), None)
        if found is None or found.ledger in named:
            return
        named.append(found.ledger)
        yield found


def _versions(*, every: bool) -> Iterator[Anchor]:
    """Versions that remember a head: all, or a page of them."""
    token: str | None = None
    while True:
        page = client().search_model_versions(max_results=_ALL, page_token=token)
        for version in page:
            head: Any = json.loads(version.tags.get(VERSION_TAG) or "null") or {}
            if head:
                where = f"{version.name} version {version.version}"
                yield Anchor(str(head["id"]), int(head["length"]), str(head["head"]), where)
        token = page.token
        if not token or not every:
            return
