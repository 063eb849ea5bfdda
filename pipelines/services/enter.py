"""Record this process, then become the service: one number, one start time, no gap between.

`python -m pipelines.services.enter FACTS MODULE…`, where FACTS is JSON: name, log, port, url.
"""

from __future__ import annotations

import json
import os
import sys

from pipelines.services import records


def main() -> None:
    """Never returns."""
    facts, command = json.loads(sys.argv[1]), [sys.executable, "-m", *sys.argv[2:]]
    records.write(**facts, command=command)
    os.execv(sys.executable, command)  # noqa: S606 - its own command line, no shell


if __name__ == "__main__":
    main()
