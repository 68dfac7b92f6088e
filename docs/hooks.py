"""Marks the Japanese pages of the site as Japanese: fonts and screen readers go by it."""

from __future__ import annotations

from typing import Any


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The finished HTML of a page; of one whose name ends in .ja.md with its language named."""
    if not page.file.src_uri.endswith(".ja.md"):
        return output
    return output.replace('<html lang="en"', '<html lang="ja"', 1)
