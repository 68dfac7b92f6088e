"""Pictures of the report for the documentation, made from the demo by `make screenshots`.

Each release draws its noise anew, so that numbers differ from one demo to the next; nothing else
does.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

from tests.hokkaido.report.browser import Reader, chromium

SIZE = (1280, 700)
VIEW = "needs"
PLACE = "Teshikaga"


def main(report: Path, folder: Path) -> None:
    """Write report.png and report.ja.png: where transport is missing, with a chosen place."""
    with chromium() as browser:
        reader = Reader(browser, report, *SIZE)
        if reader.page.get_attribute("html", "lang") != "en":
            reader.act(lambda: reader.page.click("#language"))
        reader.view(VIEW)
        reader.act(lambda: reader.page.select_option("#place", label=PLACE))
        keep(reader, folder / "report.png")
        reader.act(lambda: reader.page.click("#language"))
        keep(reader, folder / "report.ja.png")
        reader.context.close()


def keep(reader: Reader, file: Path) -> None:
    """Write the screen to a file in 256 colours, with nothing pointed at."""
    reader.page.mouse.move(0, 0)
    reader.page.evaluate("document.activeElement.blur()")
    picture = Image.open(io.BytesIO(reader.page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
