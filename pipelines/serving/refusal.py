"""A request that is not answered, with its HTTP status and one line that says why."""

from __future__ import annotations

from typing import Any

import orjson

OVERLOADED = "too many requests are under way; ask again after Retry-After seconds"


class Refusal(Exception):
    """A request refused.

    Attributes:
        status: HTTP status.
        detail: What was expected, what was found, how to mend it; never a value of a record.
        rejected: Rows that were looked at and their reasons, where it comes to that.
        retry_after: Seconds after which asking again makes sense.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        rejected: list[dict[str, Any]] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.rejected, self.retry_after = rejected, retry_after

    @property
    def body(self) -> bytes:
        """As JSON."""
        said: dict[str, Any] = {"detail": self.detail}
        if self.rejected is not None:
            said["rejected"] = self.rejected
        return orjson.dumps(said)

    @property
    def headers(self) -> dict[str, str]:
        """Beside content type and length."""
        made = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return made | ({"www-authenticate": "Bearer"} if self.status == 401 else {})
