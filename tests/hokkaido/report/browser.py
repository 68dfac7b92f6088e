"""A real browser without a network: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
"""Kept for people to look at; git ignores the folder."""
ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
]  # fmt: skip


def program():
    """Path of the browser; the test is skipped where there is none, with what to install."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    return found or pytest.skip(
        "there is no Chromium: apt-get install chromium fonts-noto-cjk poppler-utils"
    )


@contextmanager
def chromium():
    """A running browser."""
    path = program()
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is in the extra dev")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


FACES = "document.documentElement.dataset.drawn + document.getElementById('facts').textContent"
SETTLED = "document.documentElement.dataset.painted === document.documentElement.dataset.drawn"
"""What main.js tells of the changes that are drawn and that the map shows."""


class Reader:
    """A page as somebody reads it, with everything that went wrong."""

    def __init__(self, browser, file, width=1366, height=768, **options):
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.trouble = []
        self.requests = []
        self.page.on(
            "console",
            lambda message: (
                self.trouble.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.resolve().as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)

    def act(self, action, settled=SETTLED):
        """Does something, and waits until the page is drawn anew and the map shows it (or for another condition)."""
        before = self.page.evaluate(FACES)
        action()
        self.page.wait_for_function(f"before => {FACES} !== before && {settled}", arg=before)

    def view(self, name):
        """Goes to a view, if it is not there."""
        button = f"#views button[data-view={name}]"
        if self.page.get_attribute(button, "aria-current") is None:
            self.act(lambda: self.page.click(button))

    def point(self, right, down):
        """Moves the pointer to a place of the map, given as parts of its width and height."""
        self.page.evaluate("scrollTo(0, 0)")
        box = self.page.locator("#map").bounding_box()
        self.page.mouse.move(box["x"] + box["width"] * right, box["y"] + box["height"] * down)

    def choose(self, control, index, settled=SETTLED):
        """An option of a list, or a position of a slider, by number."""
        element = self.page.locator(f"#{control}")
        if element.input_value() == str(index):
            return
        if element.get_attribute("type") == "range":
            self.act(lambda: element.fill(str(index)), settled)
        else:
            self.act(lambda: element.select_option(str(index)), settled)

    def fact(self, name):
        return self.page.locator(f"dd[data-fact={name}]").inner_text()

    def picture(self, name, **options):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        return self.page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)
