"""Messages that no webhook has taken yet."""

from __future__ import annotations

from typing import Any

from pipelines.notices import outbox, webhook


def read() -> dict[str, Any]:
    """How many webhooks are told, how many messages wait, and how many had to be dropped.

    Raises:
        InputError: The setting names no web address.
    """
    return {
        "webhooks": len(webhook.addresses()),
        "waiting": len(outbox.waiting()),
        "dropped": outbox.dropped(),
    }
