"""The pages of the documentation and their code blocks."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "cluster").rglob("*.md"),
        ROOT / "tests" / "README.md",
    )
)
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    language: str
    title: str | None
    """The file that the block is the content of, relative to the reader's folder."""
    text: str

    @property
    def first(self) -> str:
        return self.text.split("\n", 1)[0]

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command line, comments and continuations resolved."""
        joined = self.text.replace("\\\n", " ").split("\n")
        return [words for line in joined if (words := shlex.split(line, comments=True))]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    return [Block(*found) for found in ((m[1], m[2], m[3]) for m in FENCE.finditer(text_of(page)))]
