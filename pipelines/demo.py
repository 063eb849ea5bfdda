"""`make demo`: the three pipelines on public data, one after the other, and one page about them."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from pipelines import cli
from pipelines.evidence import Evidence, from_json
from pipelines.progress import say
from pipelines.settings import home, load_config

PIPELINES = ("imaging", "patients", "credit")
_SET = {
    # nothing about people is in these records: whether a business is new stands in their stead
    "credit": ["protected=[NewExist]", "fairness.as_features=true"]
}


def _evidence(folder: Path) -> Evidence:
    """Evidence of a run beside its report, its figures found again."""
    evidence = from_json(json.loads((folder / "evidence.json").read_text(encoding="utf-8")))
    return replace(evidence, figures=[replace(f, path=folder / f.path) for f in evidence.figures])


def demo() -> int:
    """Fetch, train, compare, register and gate; then tell it on one page."""
    from domains.sources import fetch
    from pipelines.reporting import report
    from pipelines.run import describe, run

    for name in ("lidc", "efficientnet-lite0", "support2", "sba"):
        say(f"data: {name}")
        fetch(name, progress=say)
    results = []
    for pipeline in PIPELINES:
        with redirect_stdout(sys.stderr):
            results.append(
                run(
                    pipeline, load_config(pipeline, scale="small", overrides=_SET.get(pipeline, []))
                )
            )
    told = []
    for result in results:
        told.append((_evidence(Path(result["report"]).parent), result))
        print(describe(result), end="\n\n")
    page = report.index(told, home() / "reports" / "index.html")
    print(f"All three on one page: {page}")
    return 0 if all(result["gate"]["promoted"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(cli.guarded(demo))
