"""The page: one HTML file that holds the map library, the modules and the data."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "page"
MODULES = (
    "i18n", "words", "data", "state", "scale", "mesh", "map", "charts", "table", "download",
    "controls", "theme", "studies", "answer", "needs", "watershed", "opening", "boarding",
    "answers", "panel", "reading", "picture", "print", "main",
)  # fmt: skip
"""ES modules of the page, each a file; they import each other as `report/<name>`."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data: blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; connect-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
"""Content security policy, by which the browser refuses every request to a network."""


def page(document: dict[str, Any]) -> bytes:
    """Fill in page/index.html; equal documents give equal bytes.

    Args:
        document: what `xstat_ray.hokkaido.report.document.document` makes.

    Returns:
        The HTML file.
    """
    parts = {
        "language": document["language"],
        "policy": POLICY,
        "library_css": _text("maplibre-gl.css"),
        "css": _text("page.css"),
        "library": _script(re.sub(r"\n//# sourceMappingURL=.*", "", _text("maplibre-gl.js"))),
        "modules": json.dumps({"imports": {f"report/{name}": _address(name) for name in MODULES}}),
        "data": _json(document),
    }
    pieces = re.split(r"\{\{(\w+)\}\}", _text("index.html"))
    pieces[1::2] = [
        html.escape(parts[name]) if name in ("language", "policy") else parts[name]
        for name in pieces[1::2]
    ]
    return "".join(pieces).encode()


def _text(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")


def _address(name: str) -> str:
    """Write a module into an address; pages opened as files may not import neighbouring files."""
    source = f"{_text(f'{name}.js')}\n//# sourceURL=report/{name}.js\n"
    return f"data:text/javascript;charset=utf-8;base64,{base64.b64encode(source.encode()).decode()}"


def _json(value: dict[str, Any]) -> str:
    """Encode JSON that may stand in a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )


def _script(text: str) -> str:
    """Escape a script, so that none of its strings ends its element."""
    return text.replace("</", "<\\/")
