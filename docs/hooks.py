"""What the site does for its Japanese pages, whose names end in .ja.md."""

from __future__ import annotations

import re
from typing import Any

_LETTER = "[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]"
_BREAK = re.compile(rf"(?<={_LETTER})\n *(?={_LETTER})")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Joins lines, whose ends browsers show as spaces: Japanese has none between its words."""
    return _BREAK.sub("", markdown) if _japanese(page) else markdown


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Names the language of the finished page: fonts and screen readers go by it."""
    return output.replace('<html lang="en"', '<html lang="ja"', 1) if _japanese(page) else output


def _japanese(page: Any) -> bool:
    return bool(page.file.src_uri.endswith(".ja.md"))
