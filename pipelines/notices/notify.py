"""Tell people what happened: a failure, a refusal, a promotion, a rollback, a crash.

Webhooks get a JSON body with `text`, which Slack, Teams and Mattermost show as it is, and the same
in fields. Nothing in it comes from a record, and no metric does: the gate's rules are named, their
numbers are not.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from domains.errors import InputError
from pipelines.acting import now, who
from pipelines.notices import outbox, webhook
from pipelines.progress import say

Event = Literal["failure", "refusal", "promotion", "rollback", "crash", "approval"]
_PATIENCE = 10.0
_LONGEST = 1000


def notify(event: Event, text: str, **facts: str) -> None:
    """Send a message to every webhook of `CARELEDGER_WEBHOOK_URL`.

    It never raises and takes ten seconds at most. What cannot be delivered waits in the home
    folder for the next message, or for `deliver_waiting`.

    Args:
        event: What happened.
        text: One line for people. Never the text of an error about private records.
        facts: Names and numbers of things: model, version, run_id, pipeline, …
    """
    try:
        addresses = webhook.addresses()
    except InputError as error:
        say(f"not notified: {error}")
        return
    if addresses:
        body = _body(event, text, facts)
        _in_time(lambda until: _send(addresses, body, until))


def deliver_waiting() -> int:
    """Try again what could not be delivered; returns how many messages still wait."""
    try:
        addresses = webhook.addresses()
    except InputError:
        addresses = []
    if addresses:
        _in_time(lambda until: outbox.deliver(addresses, until))
    return len(outbox.waiting())


def _body(event: Event, text: str, facts: dict[str, str]) -> bytes:
    message = {
        "id": secrets.token_hex(8),
        "event": event,
        "text": " ".join(text.split())[:_LONGEST],
        "when": now(),
        "who": who(),
        "host": socket.gethostname(),
        **{name: str(value)[:_LONGEST] for name, value in facts.items()},
    }
    if lost := outbox.dropped():
        message["dropped"] = str(lost)
    return json.dumps(message, ensure_ascii=False).encode()


def _send(addresses: list[str], body: bytes, until: float) -> None:
    for address in addresses:
        try:
            outbox.keep(body, address)
        except OSError:  # a full disk is what people want to hear of: sent without being kept
            outbox.send(address, body, until)
    outbox.deliver(addresses, until)


def _in_time(deliver: Callable[[float], object]) -> None:
    """Deliver in a thread of its own: a server that answers a byte a second holds nobody up."""

    def work() -> None:
        with suppress(Exception):
            deliver(time.monotonic() + _PATIENCE)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE + 1)
