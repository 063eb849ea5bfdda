"""Jobs whose process died before they ended, and the command that goes on with each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.life import lives
from pipelines.status.tracked import moment


def read() -> list[dict[str, Any]]:
    """Crashed jobs, each with `command`, which resumes it."""
    return [
        {
            **asdict(one),
            "since": moment(int(one.since * 1000)),
            "command": f"careledger resume {one.run_id}",
        }
        for one in lives.crashed()
    ]
