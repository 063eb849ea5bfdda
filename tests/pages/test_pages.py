"""Every page reads well in a browser: wide and narrow, light and dark, and without a network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages.browser import VIEWS, Browser, View
from tests.pages.conftest import PAGES

Look = Callable[[Path, View], list[str]]


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_everything_whole(
    pages: dict[str, Path], look: Look, name: str, view: View
) -> None:
    assert look(pages[name], view) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_no_script_and_nothing_from_elsewhere(
    pages: dict[str, Path], name: str
) -> None:
    source = pages[name].read_text(encoding="utf-8")
    assert "<script" not in source
    assert not re.search(r"""(src|srcset|poster|action)\s*=\s*["']?(https?:)?//""", source)
    assert not re.search(r"""<link[^>]*href\s*=\s*["'](?!data:)""", source)
    assert not re.search(r"url\(|@import", source)


def test_dark_is_dark_and_light_is_light(tab: Browser, pages: dict[str, Path]) -> None:
    paper = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g))"
    for name in ("imaging", "status"):
        tab.open(pages[name], View(390, "dark"))
        assert tab.run(paper) < 60
        tab.open(pages[name], View(390, "light"))
        assert tab.run(paper) > 200


def test_a_phone_gets_the_phone_s_figures(tab: Browser, pages: dict[str, Path]) -> None:
    sizes = "[...document.images].map(image => image.naturalWidth)"
    tab.open(pages["credit"], View(1280, "light"))
    wide = tab.run(sizes)
    tab.open(pages["credit"], View(390, "light"))
    narrow = tab.run(sizes)
    assert len(wide) == len(narrow) > 3
    assert all(one > other for one, other in zip(wide, narrow, strict=True))


BLANK = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<p>one</p><p style='margin-top:-2.2em'>two</p>", "overlap"),
        ("<p style='width:3em;white-space:nowrap;overflow:hidden'>far too long to fit</p>", "cut"),
        ("<p style='color:#999'>faint</p>", "contrast"),
        ("<p style='font-size:8px'>tiny</p>", "too small"),
        ("<p style='width:2000px'>wide</p>", "wider than the window"),
        ("<img alt='gone' src='none.png' width=200 height=99>", "empty"),
        (f"<img alt='white' src='{BLANK}' width=200 height=99>", "of one colour"),
        (
            "<img alt='far' src='https://example.org/x.png' width=200>",
            "fetches https://example.org",
        ),
    ],
)
def test_each_fault_is_found_when_it_is_there(
    look: Look, tmp_path: Path, body: str, said: str
) -> None:
    head = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    (tmp_path / "page.html").write_text(f"{head}<body><h1>Fine</h1>{body}</body>")
    found = look(tmp_path / "page.html", View(390, "light"))
    assert any(line.startswith(said) for line in found), found


def test_a_page_without_fault_has_none(look: Look, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><body><h1>Fine</h1><p>Well.</p></body>")
    assert look(tmp_path / "page.html", View(1280, "light")) == []
