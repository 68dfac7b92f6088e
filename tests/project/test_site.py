"""The documentation site is complete, and no page of it asks another machine for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from tests.hokkaido.report.browser import chromium
from tests.pages import ROOT
from tests.sizes import thorough

pytestmark = thorough

FETCHING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
}
OUTSIDE = re.compile(r"^(?:\w+:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


class Fetched(HTMLParser):
    """What a browser fetches for a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        address = dict(attributes).get(FETCHING.get(tag, ""))
        if address and dict(attributes).get("rel") != "canonical":
            self.addresses.append(address)


def test_every_page_is_built_and_in_the_navigation(site):
    pages = {
        path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")
    }
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert pages <= built
    menu = (site / "index.html").read_text()
    assert {page for page in pages if f'href="{page}.html"' not in menu} == set()


def test_pages_in_japanese_say_so(site):
    languages = {
        page.name: re.search(r'<html lang="(\w+)"', page.read_text())[1]
        for page in site.glob("*.html")
    }
    japanese = {name for name, language in languages.items() if language == "ja"}
    assert (
        japanese == {page.with_suffix(".html").name for page in (ROOT / "docs").glob("*.ja.md")}
        and japanese
    )


def test_no_line_of_japanese_ends_within_a_sentence(site):
    """A browser would show a space there."""
    letter = "[\u3041-\u30ff\u4e00-\u9fff、。]"
    broken = {
        page.name: re.findall(f"{letter}{{1,5}}\n *{letter}{{1,5}}", page.read_text())
        for page in site.glob("*.ja.html")
    }
    assert broken and {name: found for name, found in broken.items() if found} == {}


def test_no_page_fetches_anything_from_outside(site):
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]
    fetched = {page: Fetched(page.read_text()).addresses for page in pages}
    assert all(addresses for addresses in fetched.values())
    assert {
        (page.name, a) for page, addresses in fetched.items() for a in addresses if OUTSIDE.match(a)
    } == set()
    local = {
        (page.parent / a.split("?")[0].split("#")[0])
        for page, found in fetched.items()
        for a in found
    }
    assert {path for path in local if not path.exists()} == set()


def test_no_style_sheet_fetches_anything_from_outside(site):
    styles = list(site.rglob("*.css")) + list(site.rglob("*.html"))
    found = {
        a
        for style in styles
        for a in re.findall(r"(?:url\(|@import )[\"']?([^\"')\s]+)", style.read_text())
    }
    assert {address for address in found if OUTSIDE.match(address)} == set()


def test_no_page_has_what_the_theme_fetches_a_script_for(site):
    """Mermaid diagrams would come from a server elsewhere; figures are committed instead."""
    assert not [page.name for page in site.rglob("*.html") if 'class="mermaid"' in page.read_text()]


def test_the_search_index_knows_the_pages(site):
    index = (site / "search" / "search_index.js").read_text()
    assert index.startswith("var __index = ") and "protocol.html" in index


def test_it_is_read_and_searched_from_the_file_system_without_a_request(site):
    with chromium() as browser:
        context = browser.new_context()
        context.set_offline(True)
        page = context.new_page()
        requests = []
        trouble = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        for name in ("protocol.html", "index.html"):
            page.goto((site / name).as_uri())
            assert page.evaluate(
                "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
            )
        page.set_default_timeout(60_000)
        page.focus("input[name=query]")
        # What is typed before the index has been read is lost.
        page.locator(".md-search-result__meta", has_text="Type to start searching").wait_for(
            state="attached"
        )
        page.locator("input[name=query]").press_sequentially("ledger")
        page.wait_for_selector(".md-search-result__item a[href*='.html']", state="attached")
        assert (trouble, [url for url in requests if not url.startswith(("file:", "data:"))]) == (
            [],
            [],
        )
