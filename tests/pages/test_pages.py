"""Every page reads well in a browser: wide and narrow, light and dark, and without a network."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages import sample_consortium
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


TABLE = """(name => {
  const section = document.getElementById(name);
  return [...section.querySelectorAll("table")].map(
    table => [...table.tBodies[0].rows].map(row => row.cells[0].innerText.split("\\n")[0]));
})"""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_consortium_reads_who_gains_who_is_approved_and_who_took_part(
    tab: Browser, pages: dict[str, Path], width: int
) -> None:
    tab.open(pages["consortium"], View(width, "light"))
    assert tab.run(f"{TABLE}('joining')") == [list(sample_consortium.LENDERS)]
    groups, gaps = tab.run(f"{TABLE}('fairness')")
    assert (groups, len(gaps)) == (["F", "M"], 5)
    (taking_part,) = tab.run(f"{TABLE}('rounds')")
    assert sorted(taking_part) == sorted(sample_consortium.CONDUCT)
    _, later, price = tab.run(f"{TABLE}('worth')")
    assert [name.split()[0] for name in later] == ["federated"]
    assert price[:3] == ["alone", "federated", "pooled"]


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_nothing_but_a_table_of_lines_slides_sideways(
    tab: Browser, pages: dict[str, Path], name: str
) -> None:
    tab.open(pages[name], View(390, "light"))
    wide = "[...document.querySelectorAll('body *')].filter(node => !node.closest('.scroll, pre')"
    assert (
        tab.run(f"{wide} && node.scrollWidth > 390).map(node => node.outerHTML.slice(0, 90))") == []
    )


def test_what_matters_most_is_said_first_and_in_few_sentences(
    tab: Browser, pages: dict[str, Path]
) -> None:
    tab.open(pages["consortium"], View(1280, "light"))
    lines = tab.run("[...document.querySelectorAll('#findings li')].map(item => item.innerText)")
    assert 3 <= len(lines) <= 8
    assert lines[0].startswith("Federation:")
    assert not any("rank correlation" in line for line in lines)


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
        (f"<img src='{BLANK}' width=200 height=99>", "without words"),
        ("<script>throw new Error('gone')</script>", "complains"),
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
