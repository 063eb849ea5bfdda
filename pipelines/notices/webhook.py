"""One POST to a webhook: where to, signed how, and what came of it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import urllib.error
import urllib.request
from typing import Any, Literal
from urllib.parse import urlsplit

from domains.errors import InputError

ADDRESSES, SECRET = "CARELEDGER_WEBHOOK_URL", "CARELEDGER_WEBHOOK_SECRET"
SIGNATURE = "X-Careledger-Signature"
Outcome = Literal["sent", "denied", "unreachable"]


def addresses() -> list[str]:
    """Webhooks to notify, from `CARELEDGER_WEBHOOK_URL`, commas between them.

    Raises:
        InputError: One is not an http or https address. The message never quotes it: the path of a
            webhook is its password.
    """
    given = [part.strip() for part in os.environ.get(ADDRESSES, "").split(",")]
    found = [part for part in given if part]
    for number, address in enumerate(found, start=1):
        if not _is_web(address):
            raise InputError(
                f"{ADDRESSES}: address {number} of {len(found)} is not a web address; "
                "expected http://… or https://…, commas between several"
            )
    return found


def shown(address: str) -> str:
    """An address as it may be shown: without its path, which is its password."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"


def post(address: str, body: bytes, timeout: float) -> Outcome:
    """POST a JSON body.

    Args:
        address: From `addresses`.
        body: UTF-8 JSON.
        timeout: Seconds that each step of the exchange may take.

    Returns:
        `sent`; `denied` where trying again at once is no use (4xx, a redirect); else `unreachable`.
    """
    request = urllib.request.Request(address, data=body, headers=_headers(body), method="POST")  # noqa: S310
    try:
        with _OPENER.open(request, timeout=timeout):
            return "sent"
    except urllib.error.HTTPError as error:
        error.close()
        return "denied" if error.code < 500 and error.code not in (408, 429) else "unreachable"
    except (OSError, http.client.HTTPException):
        return "unreachable"


def signature(body: bytes, secret: str) -> str:
    """`sha256=` and the HMAC-SHA256 of a body, as the receiver computes it again."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def _headers(body: bytes) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "careledger"}
    secret = os.environ.get(SECRET)
    return {**headers, SIGNATURE: signature(body, secret)} if secret else headers


def _is_web(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A message goes where it was addressed to, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Never follow."""


_OPENER = urllib.request.build_opener(_NoRedirect)
