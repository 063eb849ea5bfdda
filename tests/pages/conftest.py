"""One browser for every test of a page, and the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.reporting import report
from pipelines.status import page
from tests.pages import sample_consortium, sample_status
from tests.pages.browser import CHROMIUM, Browser, View, browser
from tests.pipelines import sample_evidence

LOOK = (Path(__file__).parent / "look.js").read_text(encoding="utf-8")
PAGES = (
    "imaging", "patients", "credit", "consortium", "private", "index",
    "status", "status-empty", "status-unread",
)  # fmt: skip


@pytest.fixture(scope="session")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A tab of a headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine to open the pages with")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page there is, by the names of `PAGES`: reports, the index over them, the status."""
    folder = tmp_path_factory.mktemp("site")
    found, runs = {}, []
    for make in (sample_evidence.imaging, sample_evidence.patients, sample_evidence.credit):
        path = folder / f"{make.__name__}.html"
        evidence = make(folder / make.__name__)
        result = sample_evidence.result(evidence, path)
        found[make.__name__] = report.render(evidence, result, path)
        runs.append((evidence, result))
    whole = sample_consortium.evidence(folder / "consortium")
    path = folder / "consortium.html"
    found["consortium"] = report.render(whole, sample_evidence.result(whole, path), path)
    private = replace(runs[2][0], metrics={}, data={**runs[2][0].data, "public": False})
    found["private"] = report.render(private, runs[2][1], folder / "private.html")
    found["index"] = report.index(runs, folder / "index.html")
    for name, snapshot in (
        ("status", sample_status.busy()),
        ("status-empty", sample_status.snapshot()),
        ("status-unread", sample_status.broken()),
    ):
        found[name] = page.write(snapshot, folder / f"{name}.html")
    assert tuple(found) == PAGES
    return found


@pytest.fixture(scope="session")
def look(tab: Browser) -> Callable[[Path, View], list[str]]:
    """Open a page in a view: what a reader would stumble over, and what it fetched."""

    def looked(path: Path, view: View) -> list[str]:
        tab.open(path, view)
        found = [str(line) for line in tab.run(LOOK)]
        asked = {a for a in tab.requests if not a.startswith(("data:", "file:", "about:"))}
        found += [f"complains {said}" for said in tab.complaints]
        return found + [f"fetches {address}" for address in sorted(asked)]

    return looked
