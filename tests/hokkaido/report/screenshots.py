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
SHOWN = {
    "study": "Passengers between Sapporo",
    "route": "Okadama – Kushiro",
    "direction": "to eastern Hokkaido",
}
"""Options that are chosen, by the beginning of their names on the English page."""
MOMENT = "2 h after landing"
PLACE = "Kushiro"


def main(report: Path, folder: Path) -> None:
    """Write report.png and report.ja.png."""
    with chromium() as browser:
        reader = Reader(browser, report, *SIZE)
        if reader.page.get_attribute("html", "lang") != "en":
            reader.act(lambda: reader.page.click("#language"))
        reader.view("studies")
        for control, name in SHOWN.items():
            reader.choose(
                control if control == "study" else f"dimension-{control}",
                option(reader, control, name),
            )
        last = int(reader.page.get_attribute("#dimension-offset", "max"))
        for position in range(last + 1):
            reader.choose("dimension-offset", position)
            if reader.page.inner_text(".moment") == MOMENT:
                break
        reader.act(lambda: reader.page.select_option("#place", label=PLACE))
        keep(reader, folder / "report.png")
        reader.act(lambda: reader.page.click("#language"))
        keep(reader, folder / "report.ja.png")
        reader.context.close()


def option(reader: Reader, control: str, name: str) -> int:
    """Find the position of the option whose text begins with a name."""
    box = "#study" if control == "study" else f"#dimension-{control}"
    texts = reader.page.locator(f"{box} option").all_text_contents()
    return next(i for i, text in enumerate(texts) if text.startswith(name))


def keep(reader: Reader, file: Path) -> None:
    """Write the screen to a file in 256 colours, with nothing pointed at."""
    reader.page.mouse.move(0, 0)
    reader.page.evaluate("document.activeElement.blur()")
    picture = Image.open(io.BytesIO(reader.page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
