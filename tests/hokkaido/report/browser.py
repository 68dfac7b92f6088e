"""A real browser without a network: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
"""Folder of pictures for people to look at; git ignores it."""
VIEWS = ("studies", "opening", "watershed", "needs", "boarding")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]


def program() -> str:
    """Find the browser, or skip the test and tell what to install."""
    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    return found or pytest.skip(
        "there is no Chromium: apt-get install chromium fonts-noto-cjk poppler-utils"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser."""
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
"""Whether the map shows all changes that are drawn, which main.js tells."""


class Reader:
    """A page in the hands of a reader, and everything that went wrong."""

    def __init__(
        self, browser: Browser, file: Path, width: int = 1366, height: int = 768, **options: Any
    ) -> None:
        """Open a page without a network.

        Args:
            browser: a running browser.
            file: the page.
            width: width of the viewport in pixels.
            height: height of the viewport in pixels.
            options: further options of the context.
        """
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **options
        )
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.trouble: list[str] = []
        self.requests: list[str] = []
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

    def act(self, action: Callable[[], Any], settled: str = SETTLED) -> None:
        """Act, and wait until the page is drawn anew and `settled` holds."""
        before = self.page.evaluate(FACES)
        action()
        self.page.wait_for_function(f"before => {FACES} !== before && {settled}", arg=before)

    def view(self, name: str) -> None:
        """Go to a view, if another one is shown."""
        button = f"#views button[data-view={name}]"
        if self.page.get_attribute(button, "aria-current") is None:
            self.act(lambda: self.page.click(button))

    def point(self, right: float, down: float) -> None:
        """Move the pointer to a place of the map, given in parts of its width and height."""
        self.page.evaluate("scrollTo(0, 0)")
        box = self.page.locator("#map").bounding_box()
        self.page.mouse.move(box["x"] + box["width"] * right, box["y"] + box["height"] * down)

    def choose(self, control: str, index: int, settled: str = SETTLED) -> None:
        """Choose an option of a list, or a position of a slider, by number."""
        element = self.page.locator(f"#{control}")
        if element.input_value() == str(index):
            return
        if element.get_attribute("type") == "range":
            self.act(lambda: element.fill(str(index)), settled)
        else:
            self.act(lambda: element.select_option(str(index)), settled)

    def fact(self, name: str) -> str:
        """Read a fact of the chosen place."""
        return self.page.locator(f"dd[data-fact={name}]").inner_text()

    def picture(self, name: str, **options: Any) -> bytes:
        """Keep a picture of the screen for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        return self.page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)
