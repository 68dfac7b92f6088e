"""The report for everybody: axe-core, the keyboard, paper, and a telephone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.hokkaido.report.browser import SCREENSHOTS, VIEWS, Reader
from tests.sizes import thorough
from xstat_ray.hokkaido.report.make import PAGE

pytestmark = thorough

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def serious(page: Page) -> list[tuple[str, str]]:
    """List what axe-core holds against a page, but for minor points."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (violation["id"], violation["nodes"][0]["html"])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious_in_any_view(reader, language):
    if reader.page.get_attribute("html", "lang") != language:
        reader.act(lambda: reader.page.click("#language"))
    found = {}
    for view in VIEWS:
        reader.view(view)
        reader.act(lambda: reader.page.locator("#table tbody button").first.click())
        found[view] = serious(reader.page)
    if language != "ja":
        reader.act(lambda: reader.page.click("#language"))
    assert {view: wrong for view, wrong in found.items() if wrong} == {}


@pytest.mark.slow
def test_axe_finds_nothing_serious_on_paper_and_on_a_telephone(browser, report, reader):
    reader.view("needs")
    reader.page.emulate_media(media="print")
    paper = serious(reader.page)
    reader.page.emulate_media(media="null")
    phone = telephone(browser, report)
    assert (paper, serious(phone.page)) == ([], [])
    phone.context.close()


FOCUSED = """(({ id, dataset, name, className }) =>
  id || dataset.view || name || dataset.column || className)(document.activeElement)"""
"""The id of what has the focus, or else another name of it."""


def test_the_keyboard_reaches_everything(reader):
    reader.view("opening")
    reader.page.evaluate("document.querySelector('.skip').focus()")
    reached = set()
    for _ in range(40):
        reader.page.keyboard.press("Tab")
        reached.add(reader.page.evaluate(FOCUSED))
    assert {
        "language",
        "print",
        "studies",
        "needs",
        "side",
        "place",
        "csv",
        "geojson",
        "change",
    } <= reached
    assert any("maplibregl-canvas" in name for name in reached)


def test_what_was_used_keeps_the_focus(reader):
    reader.view("watershed")
    for view in ("opening", "studies"):
        reader.page.focus(f"#views button[data-view={view}]")
        reader.act(lambda: reader.page.keyboard.press("Enter"))
        assert reader.page.evaluate("document.activeElement.dataset.view") == view
    reader.choose("dimension-offset", 0)
    reader.page.focus("#dimension-offset")
    reader.act(lambda: reader.page.keyboard.press("ArrowRight"))
    assert reader.page.evaluate("document.activeElement.id") == "dimension-offset"
    assert reader.page.get_attribute(
        "#dimension-offset", "aria-valuetext"
    ) == reader.page.inner_text(".moment")
    assert "5時間前" in reader.page.inner_text(".moment")


def test_paper_takes_two_pages_of_a4(reader):
    for view in ("studies", "needs", "boarding"):
        reader.view(view)
        reader.act(lambda: reader.page.locator("#table tbody button").first.click())
        file = SCREENSHOTS / f"print-{view}.pdf"
        reader.page.pdf(path=file, format="A4", print_background=True, prefer_css_page_size=True)
        assert file.read_bytes().count(b"/Type /Page\n") == 2, view
        if view == "boarding":
            continue
        try:
            subprocess.run(["pdftoppm", "-r", "70", "-png", file, file.with_suffix("")], check=True)
        except FileNotFoundError:
            continue
        first = Image.open(next(SCREENSHOTS.glob(f"print-{view}-*1.png"))).convert("RGB")
        assert len(first.getcolors(1 << 24)) > 500, "the map is on paper"


def telephone(browser: Browser, report: Path) -> Reader:
    """Open the page on a telephone."""
    return Reader(
        browser, report / PAGE, 390, 844, device_scale_factor=2, is_mobile=True, has_touch=True
    )


def test_a_telephone_shows_it_without_scrolling_sideways(browser, report):
    phone = telephone(browser, report)
    phone.picture("phone", full_page=True)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.trouble == []
    phone.context.close()
