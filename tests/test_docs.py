"""Pages tell of what is there: links lead somewhere, examples are valid, commands exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import ValidationError

from pipelines.cli import app
from pipelines.settings import CONFIGS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[bm]*/README.md")],
)
SOURCES = {
    path.name
    for folder in ("domains", "privacy", "models", "pipelines", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
}
EXAMPLES = [
    block
    for page in PAGES
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
]


def _anchors(page: Path) -> set[str]:
    """Headings as GitHub turns them into addresses."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), link
        assert not anchor or anchor in _anchors(there), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_source_file_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(r"\b([\w/]+\.py)\b", page.read_text()))
    made_up = {"benchmarks/NAME.py", "utils.py"}
    assert {name for name in named - made_up if Path(name).name not in SOURCES} == set()


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_a_configuration_is_valid(example: str) -> None:
    given = yaml.safe_load(example)
    assert any(_is_valid(pipeline, given) for pipeline in CONFIGS)


def _is_valid(pipeline: str, given: object) -> bool:
    try:
        CONFIGS[pipeline].model_validate(given)
    except ValidationError:
        return False
    return True


def test_every_command_and_target_that_a_page_shows_exists() -> None:
    commands = set(_commands(typer.main.get_command(app)))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text()
        for line in re.findall(r"^\.venv/bin/careledger ([a-z ]+)", text, re.MULTILINE):
            assert {" ".join(line.split()[:2]), line.split()[0]} & commands, line
        for line in re.findall(r"^make ([a-z ]+)", text, re.MULTILINE):
            assert set(line.split()) <= targets, line


def _commands(group: Any, before: str = "") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}"
